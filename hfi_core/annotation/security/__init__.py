"""Who a request comes from and what it may do: accounts, sessions, rate limits, security headers."""
