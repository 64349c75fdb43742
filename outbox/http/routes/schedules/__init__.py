"""Schedules: their handlers, what these accept and return, and ETags.

Reading order: handlers, given, shown, versions.
"""
