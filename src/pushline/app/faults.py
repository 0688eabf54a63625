"""What a function of the application may raise without harm to anything but its own call."""

import asyncio

FAULTS = (Exception, SystemExit, BaseExceptionGroup, asyncio.CancelledError)
"""To be logged, unless `is_being_cancelled`."""


def is_being_cancelled() -> bool:
    """Whether a CancelledError is meant for this task, and not for what its function awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
