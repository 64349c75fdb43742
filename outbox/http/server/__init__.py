"""Serves the app with uvicorn: limits on what clients send, a log of requests, and shutdown.

Reading order: serving, stopping, client_reads, client_connection, body_limit, request_log, head.
"""
