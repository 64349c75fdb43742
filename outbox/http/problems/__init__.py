"""Errors as clients see them: problems as in RFC 9457.

Reading order: types, problem, handlers.
"""
