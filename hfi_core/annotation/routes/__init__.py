"""HTTP routes and FastAPI dependencies. They translate requests into calls of `service` and hold no logic."""
