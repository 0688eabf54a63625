"""The plain client protocol: a login, then every push as one message, exactly as it came."""

import hmac
from collections.abc import Coroutine
from typing import Any

from pushline.codecs import login as login_codec
from pushline.codecs.http_head import Request
from pushline.connection import Connection
from pushline.errors import BadNameError
from pushline.messages import BAD_REQUEST, INVALID_TOKEN, NO_LOGIN, Close
from pushline.metrics import Metrics
from pushline.sessions import Sessions
from pushline.wheel import Wheel


class Plain:
    """Logins with `secret` need its proof; without a secret everybody is who he says he is.

    `sessions` decides over each login. A connection that has not logged in within `timeout` seconds
    is closed.
    """

    def __init__(
        self,
        wheel: Wheel,
        metrics: Metrics,
        sessions: Sessions,
        *,
        secret: str | None,
        timeout: float,
    ) -> None:
        self._wheel = wheel
        self._metrics = metrics
        self._sessions = sessions
        self._secret = secret
        self._timeout_ticks = wheel.ticks(timeout) + 1  # the tick under way is not a whole one

    def admit(self, connection: Connection, request: Request) -> Coroutine[Any, Any, None] | None:
        return None

    def refused(self, connection: Connection) -> None:
        """Never called: all are admitted."""

    def opened(self, connection: Connection) -> None:
        self._wheel.schedule(connection, self._timeout_ticks, _no_login)

    def received(self, connection: Connection, opcode: int, payload: str | bytes) -> None:
        if connection.uid is not None or connection in self._sessions.challengers:
            return  # what follows a login is for the application
        try:
            self._log_in(connection, payload)
        except BadNameError:
            connection.close(BAD_REQUEST)

    def closed(self, connection: Connection, close: Close) -> None:
        self._sessions.left(connection)

    def _log_in(self, connection: Connection, payload: str | bytes) -> None:
        bare = self._secret is None
        login = login_codec.decode(payload, bare=bare) if isinstance(payload, str) else None
        if login is None:
            self._metrics.ignored += 1
        elif not self._proven(login):
            connection.close(INVALID_TOKEN)
        else:
            self._wheel.cancel(connection)
            self._sessions.login(connection, login.uid, login.utype)

    def _proven(self, login: login_codec.Login) -> bool:
        if self._secret is None:
            return True
        expected = login_codec.token_of(login.uid, login.utype, self._secret)
        return hmac.compare_digest(expected.encode(), login.token.encode())


def _no_login(connection: Connection) -> None:
    connection.close(NO_LOGIN)
