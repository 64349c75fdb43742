"""Dead letters: their handlers, the schemas of what these return, and who has looked at one.

Reading order: handlers, schemas, looks.
"""
