"""Makes jobs of other services' messages.

Read thread, loop, channels, reading, envelope, jobs.
"""
