"""Limits of JSON: what may be stored, and how deep it is shown.

Reading order: nul, depth, result.
"""
