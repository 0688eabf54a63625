"""Has a gateway get what a worker's application has made of its clients' sessions."""

import asyncio
import threading
from contextlib import suppress
from typing import Final

from pushline.app.client import Client
from pushline.app.faults import FAULTS
from pushline.app.inbox import Desk
from pushline.gateway import Runner
from pushline.worker.remote_peer import RemotePeer
from pushline.worker.remote_request import unknown

SOON: Final = 0.1
"""Seconds after which a thread has done what it has asked for a session for."""


class WriteBack:
    """Of all clients of one process.

    What a client's own handler has changed goes back when that ends. Anything else that asks for a
    session (another client's handler, a task, a timer) changes it at once, or not at all: so it is
    looked at when the event loop goes on, or, for a thread, once more a little later.
    """

    def __init__(self, desk: Desk, runner: Runner) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._desk = desk
        self._runner = runner
        self._noted: dict[RemotePeer, None] = {}
        self._expected: dict[RemotePeer, None] = {}
        """Those that a thread is about to change."""

    def note(self, peer: RemotePeer) -> None:
        """Its session has been asked for. May be called from any thread."""
        if threading.get_ident() == self._thread:
            if not self._noted:
                self._loop.call_soon(self.look)
            self._noted[peer] = None
        else:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._expect, peer)

    def look(self) -> None:
        """At all that were noted."""
        noted, self._noted = self._noted, {}
        for peer in noted:
            self.keep(peer)

    def finish(self) -> None:
        """Look at all that there is to look at: nothing runs any more that changes it."""
        self.look()
        for peer in (*self._expected,):
            self._look_at(peer)

    def keep(self, peer: RemotePeer) -> None:
        """Send its session back, if that was changed; not while its own handler is at work."""
        if peer.is_served:
            return
        try:
            peer.keep_session()
        except RuntimeError:  # a thread changes it right now
            self._expect(peer)
        except FAULTS:
            self._desk.failed("session", Client(peer, unknown(), self._runner))

    def _expect(self, peer: RemotePeer) -> None:
        self._expected[peer] = None
        self._loop.call_later(SOON, self._look_at, peer)

    def _look_at(self, peer: RemotePeer) -> None:
        self._expected.pop(peer, None)
        peer.kept.touched = True  # it may have been looked at too early
        self.keep(peer)
