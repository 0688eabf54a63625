"""What a supervisor and one of its processes say to each other, over a pair of sockets.

The process is told what to do, and says once how its start went; from then on it gives signs of
life. Each sees by the end of the channel that the other is no more.
"""

import contextlib
import os
import signal
import socket
import threading
import time

import msgspec

CHUNK = 65536
STAY = signal.SIGUSR1
"""Tells a process that the one which was to follow it does not."""
BEAT = 1.0
"""Seconds between two signs of life."""
LAST_MOMENT = 1.0
"""Seconds that an orphan has besides those of its stop."""


class Task(msgspec.Struct, frozen=True):
    """From the supervisor, first: where the settings are, besides those in the environment.

    `flags` are texts by `section.key`. Every process reads all of them anew.
    """

    path: str | None
    flags: dict[str, str]
    follows: bool = False
    """It takes the place of one that runs."""


class Report(msgspec.Struct, frozen=True):
    """From the process, once: it is ready; or it is not and ends, and `why`."""

    ready: bool
    why: str = ""


class Channel:
    """The process's side."""

    def __init__(self, plug: socket.socket) -> None:
        plug.setblocking(True)
        plug.set_inheritable(False)  # else a process of the application would keep it open
        self._plug = plug

    def task(self) -> Task:
        """What to do; waits for it. Raises msgspec.DecodeError if the supervisor ends instead."""
        line = b""
        while not line.endswith(b"\n") and (more := self._plug.recv(CHUNK)):
            line += more
        return msgspec.json.decode(line, type=Task)

    def report(self, report: Report) -> None:
        """Say it; a supervisor that is no more is not there to hear it."""
        try:
            self._plug.sendall(msgspec.json.encode(report) + b"\n")
        except OSError:
            return

    def beat(self) -> None:
        """Give a sign of life; a supervisor that reads none does not hold us up."""
        with contextlib.suppress(OSError):
            self._plug.send(b"\n", socket.MSG_DONTWAIT)

    def end_with_supervisor(self, seconds: float) -> None:
        """Stop this process, with `seconds` for it, when the supervisor is no more.

        By a thread: the event loop may be blocked, or not there yet.
        """
        threading.Thread(
            target=self._watch, args=(seconds,), name="pushline-supervisor", daemon=True
        ).start()

    def _watch(self, seconds: float) -> None:
        with contextlib.suppress(OSError):  # reset: it ended with signs of life unread
            while self._plug.recv(CHUNK):
                continue
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(seconds + LAST_MOMENT)
        os._exit(1)
