"""The library's own checks, in a module for each thing that is looked at.

Each function looks, and returns what it found; `catalog.py` lists them in the order in which they
are shown.
"""
