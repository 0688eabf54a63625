"""A client's session where the gateway keeps it, and a worker has a copy."""

from pushline.codecs.gateway_call_answers import session_of
from pushline.codecs.php_serialize import dumps
from pushline.commands import Session
from pushline.errors import AppError, SerializedError

MOST_UNSEEN = 1000
"""Sessions that were set and have not been seen in an event: as many as can be under way."""


class RemoteSession:
    """The copy of one client's session, decoded when the application first asks for it.

    Every event brings the gateway's session, as it was when the gateway sent the event. While
    several are under way they bring older ones than this worker has set since, so an event changes
    the copy by this rule:

    - what was received last, once more, is no change;
    - what this worker has set is no change: from then on it, and what was set before it, counts as
      received;
    - anything else was set by others. It replaces the copy, and what this worker has set before is
      forgotten: whoever set last is right.

    The session is bytes until it is asked for, and goes back to the gateway only where the
    application has asked for it and it then serializes differently.
    """

    __slots__ = ("_loaded", "_received", "_session", "_touched", "_unseen")

    def __init__(self, received: bytes = b"") -> None:
        self._received = received
        self._unseen: list[bytes] = []
        """What was set and has not come back yet, the oldest first."""
        self._session: Session | None = None
        self._loaded = b""
        """What `_session` was when it was decoded or set, serialized by us: PHP may write the same
        value in other bytes."""
        self._touched = False

    def seen(self, received: bytes) -> None:
        """An event brought this, which is PHP-serialized, or nothing where none was ever set."""
        if received == self._received:
            return
        if received in self._unseen:
            del self._unseen[: self._unseen.index(received) + 1]
        else:
            self._unseen.clear()
            self._session = None
        self._received = received

    def value(self) -> Session:
        """The application's own, to read and to change. Raises AppError: see `_decoded`."""
        self._touched = True
        if self._session is None:
            self._session = _decoded(self._received)
            self._loaded = dumps(self._session)
        return self._session

    def changed(self) -> bytes | None:
        """What has to be set at the gateway, if the application has changed anything since the
        last call. Raises SerializedError for what cannot be kept there."""
        if not self._touched:
            return None
        self._touched = False
        if self._session is None:
            return None
        now = dumps(self._session)
        if now == self._loaded:
            return None
        self._loaded = now
        self._unseen = [*self._unseen[-MOST_UNSEEN:], now]
        return now


def _decoded(received: bytes) -> Session:
    """Raises AppError where PHP code has put in what only PHP can have."""
    try:
        return session_of(received)
    except SerializedError as error:
        raise AppError(
            f"this client's session cannot be read: {error}. It is kept as it is; "
            "gateway.set_session replaces it"
        ) from error
