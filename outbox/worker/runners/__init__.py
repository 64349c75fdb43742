"""What runs claimed jobs: threads for `def` actors, tasks of an event loop for `async def` ones.

Reading order: threads, time_limit, tasks, engines.
"""
