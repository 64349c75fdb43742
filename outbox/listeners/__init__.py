"""Who listens to what happens in a process: the mechanism of events.py, and what is measured."""
