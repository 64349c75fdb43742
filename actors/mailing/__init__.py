"""A mail as bytes, and the connection to the mail server."""
