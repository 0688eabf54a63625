"""Log lines to standard error: their form, and a bound on how many of one kind there can be."""

import logging
import re
import time

from pushline.output import OUTPUT

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

PER_SECOND = 10
"""Lines of one kind; what is over is counted and told with the next one that passes."""


class Throttle(logging.Filter):
    """Passes a bounded number of records of one kind a second: a flood must not fill a disk."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._seen: dict[str, int] = {}
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._seen.clear()
        kind = str(record.msg)
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._seen[kind] > PER_SECOND:
            self._dropped += 1
            return False
        if self._dropped:
            record.msg = f"{record.msg} ({self._dropped} log lines were left out before this one)"
            self._dropped = 0
        return True


class Form(logging.Formatter):
    """One line for each message: what a client or a back end has said cannot make it two."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = _CONTROL.sub(_escape, record.message)
        return super().formatMessage(record)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def configure(level: str, who: str = "") -> None:
    """Send what is at least `level` (`debug`, `info`, `warning`, `error`) to standard error.

    `who` stands in front of each line, where several processes write to one place.
    """
    handler = logging.StreamHandler(OUTPUT)
    of = f"{who}: ".replace("%", "%%") if who else ""
    handler.setFormatter(Form(f"%(asctime)s %(levelname)-7s {of}%(message)s"))
    handler.addFilter(Throttle())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
