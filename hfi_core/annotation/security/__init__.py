"""Who sent a request, and what it may do: accounts, passwords, sessions, rate limits, security headers."""
