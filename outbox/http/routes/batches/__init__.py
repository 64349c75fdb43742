"""The routes for batches: handlers, and the schemas of what they answer.

Read schemas, then handlers.
"""
