"""Makes jobs of other services' messages.

Read thread, loop, channels, inbox, reading, envelope, jobs.
"""
