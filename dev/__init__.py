"""The developer environment: servers to work against, and the demonstration."""
