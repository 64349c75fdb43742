"""A mail as bytes, signed, and how it is handed to the mail server.

Read message, parts and signature, then smtp and transmission.
"""
