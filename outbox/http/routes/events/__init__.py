"""Messages to other services: their handler, and the schemas of what it returns.

Reading order: handlers, schemas.
"""
