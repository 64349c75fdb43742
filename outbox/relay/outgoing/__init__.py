"""Sends messages to other services.

Read loop, pipeline, store, exchanges, unsendable.
"""
