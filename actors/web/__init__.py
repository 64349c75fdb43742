"""Requests to servers that others chose: checked addresses, limits, and what the answers mean."""
