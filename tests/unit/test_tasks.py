"""What runs `async def` actors, where its event loop has died."""

import asyncio
from typing import Any

from outbox.worker.runners.tasks import Tasks
from tests.support.wait import wait_for


async def never() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


def test_a_stopping_worker_does_not_wait_for_tasks_whose_loop_is_dead() -> None:
    nobody: Any = None
    tasks = Tasks(1, ["q"], nobody, nobody, nobody, nobody)
    tasks.start_loop()
    tasks._loop.call_soon_threadsafe(lambda: tasks._tasks.add(tasks._loop.create_task(never())))
    wait_for("the task", lambda: tasks._tasks)
    assert tasks.is_busy
    tasks._closing.set()
    tasks._loop.call_soon_threadsafe(tasks._loop.stop)
    wait_for("the end of the loop", lambda: not tasks.is_busy)
    assert tasks._tasks
    for task in tasks._tasks:
        task.cancel()
    tasks._loop.run_until_complete(asyncio.gather(*tasks._tasks, return_exceptions=True))
    tasks._loop.close()
