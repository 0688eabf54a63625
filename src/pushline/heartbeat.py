"""Which connections are still alive: the silent are pinged, those that stay silent ended."""

from functools import partial

from pushline.connection import Connection
from pushline.messages import NO_PONG
from pushline.wheel import Due, Wheel

PROMPT = 0.25
"""The part of `pong` in which nearly all answer; only the others are looked at, which takes time
and memory."""


class Heartbeat:
    """Watches connections on a wheel; any byte from the peer is a sign of life.

    After `ping` seconds of silence a WebSocket ping is sent, and after `pong` more the connection
    is closed. With `ping` 0 the server sends none, and silence of `timeout` seconds closes; with
    that 0 too, nothing is watched.

    On a slow link a ping stands behind what was sent before it. So, while anything is on its way,
    what the peer takes is a sign of life too, and gives it `pong` seconds more; that more is sent
    is none. Where nothing is on its way the peer has the ping, and has to answer: its system may
    take what it does not read.
    """

    def __init__(self, wheel: Wheel, *, ping: float, pong: float, timeout: float) -> None:
        self._wheel = wheel
        self._silence = wheel.ticks(ping or timeout) if ping or timeout else 0
        self._pong = wheel.ticks(pong)
        self._prompt = wheel.ticks(pong * PROMPT)
        # One bound method for all connections: each of its own would be 64 bytes.
        self._pings = ping > 0
        self._when_silent: Due = self._ask if ping else self._end
        self._check_silence: Due = self._check
        self._check_pong: Due = self._check_answer
        self._check_prompt: Due = self._look if self._pong > self._prompt else self._check_answer

    def start(self, connection: Connection) -> None:
        """Watch a connection until it is closed."""
        if self._silence:
            self._wheel.schedule(connection, self._silence, self._check_silence)

    def rest(self, connection: Connection) -> None:
        """Expect no sign of life until it is started again.

        A peer that is gone is still noticed, where pings are sent: writing to it fails.
        """
        if self._pings:
            self._wheel.schedule(connection, self._silence, self._ping_only)
        else:
            self._wheel.cancel(connection)

    def _check(self, connection: Connection) -> None:
        silent = self._wheel.now - connection.seen
        if silent >= self._silence:
            self._when_silent(connection)
        else:
            self._wheel.schedule(connection, self._silence - silent, self._check_silence)

    def _ping_only(self, connection: Connection) -> None:
        connection.ping()
        self.rest(connection)

    def _ask(self, connection: Connection) -> None:
        connection.ping()
        self._wheel.schedule(connection, self._prompt, self._check_prompt)

    def _look(self, connection: Connection) -> None:
        if self._has_spoken(connection, self._prompt):
            self._check(connection)
        else:
            self._expect(connection, self._pong - self._prompt)

    def _expect(self, connection: Connection, ticks: int) -> None:
        """An answer in this time, or that it takes something where it may not have the ping yet."""
        taken = connection.taken()
        due = self._check_pong if taken is None else partial(self._check_taken, taken)
        self._wheel.schedule(connection, ticks, due)

    def _check_answer(self, connection: Connection) -> None:
        if self._has_spoken(connection, self._pong):
            self._check(connection)
        else:
            self._end(connection)

    def _check_taken(self, before: int, connection: Connection) -> None:
        taken = connection.taken()
        if self._has_spoken(connection, self._pong):
            self._check(connection)
        elif taken is None or taken > before:
            self._expect(connection, self._pong)
        else:
            self._end(connection)

    def _has_spoken(self, connection: Connection, ticks: int) -> bool:
        return self._wheel.now - connection.seen <= ticks

    def _end(self, connection: Connection) -> None:
        connection.close(NO_PONG)
        self._wheel.schedule(connection, 1, Connection.abort)  # it would not answer a Close either
