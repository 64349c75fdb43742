"""Dead letters: their handlers, and the schemas of what these return.

Reading order: handlers, schemas.
"""
