"""The routes that cancel many jobs: handlers, and the schemas of what they take and answer.

Read schemas, then handlers.
"""
