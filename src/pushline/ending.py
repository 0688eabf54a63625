"""The end of a process in which an application may block the event loop, or threads."""

import logging
import os
import threading
import time

from pushline.output import OUTPUT

log = logging.getLogger(__name__)

GRACE = 0.5
"""Seconds that a process has besides its time to stop before it is ended."""
LAST_MOMENT = 0.3
"""Seconds that what an application still runs has when all else is over."""


def end_within(seconds: float, code: int = 0) -> None:
    """See to it that the process ends in this time, whatever an application does meanwhile."""
    threading.Thread(target=_end, args=(seconds, code), name="pushline-end", daemon=True).start()


def _end(seconds: float, code: int) -> None:
    time.sleep(seconds)
    saying = threading.Thread(target=_say_so, daemon=True)
    saying.start()
    saying.join(LAST_MOMENT)  # a log of the application's may be stuck
    os._exit(code)


def _say_so() -> None:
    log.warning("the application still runs: ending without it")
    OUTPUT.settle()
    logging.shutdown()
