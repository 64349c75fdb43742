"""Schedules as an app declares them: when their ticks are due, and what is done with missed ones.

Reading order: schedule, cron, missed. Nothing here reads a clock or a database.
"""
