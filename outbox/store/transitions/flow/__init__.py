"""Keys and their limits, unique jobs, and messages to and of other services."""
