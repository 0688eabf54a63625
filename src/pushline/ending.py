"""The end of a process in which an application may have left threads behind."""

import logging
import os
import threading
import time

log = logging.getLogger(__name__)

LAST_MOMENT = 0.3
"""Seconds that threads have when all else is over."""


def end_without_threads(code: int = 0) -> None:
    """See to it that the process ends soon, whatever an application's threads still do."""
    threading.Thread(target=_end, args=(code,), name="pushline-end", daemon=True).start()


def _end(code: int) -> None:
    time.sleep(LAST_MOMENT)
    log.warning("threads of the application still run: ending without them")
    logging.shutdown()
    os._exit(code)
