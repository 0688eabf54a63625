"""A client's session where the gateway keeps it, and a worker has a copy."""

from typing import NamedTuple

from pushline.codecs.gateway_call_answers import session_of
from pushline.codecs.php_serialize import dumps
from pushline.commands import Session
from pushline.errors import AppError, SerializedError


class Question(NamedTuple):
    """What had come from the gateway, and what it had been sent, when it was asked."""

    arrived: int
    sets: int


class RemoteSession:
    """The copy of one client's session, decoded when the application first asks for it.

    Every event brings the gateway's session, as it was when the gateway sent the event. What this
    worker sets is under way for a while, and so are events that do not know of it yet. Whoever set
    last is right, so an event's session is looked at in its turn by this rule:

    - what came before this worker last set the session, or last asked for it, is older than the
      copy: it is no change;
    - while nothing that was set here is under way, it is the gateway's: where it is another than
      the last, it replaces the copy;
    - the only one that is under way, come back, has arrived;
    - anything else may be older than what is under way, or by others and newer. The gateway is
      asked, which answers behind all that it was sent. What comes while it is asked may be older
      than the answer: where it is another, the gateway is asked once more.

    The session is bytes until it is asked for, and goes back to the gateway only where the
    application has asked for it and it then serializes differently.
    """

    __slots__ = (
        *("_arrived", "_doubtful", "_last", "_loaded", "_older", "_received", "_session", "_sets"),
        "touched",
    )

    def __init__(self, received: bytes = b"") -> None:
        self._received = received
        """The gateway's, as far as it is known."""
        self._last: bytes | None = received
        """What arrived last, if another like it would tell nothing new."""
        self._arrived = 0
        """How many have to be looked at, of those that arrived."""
        self._older = 0
        """So many of them are older than the copy, and"""
        self._doubtful = 0
        """so many may be."""
        self._sets = 0
        """How often it was set here since the gateway's was known."""
        self._session: Session | None = None
        self._loaded = b""
        """What `_session` was when it was decoded or set, serialized by us: PHP may write the same
        value in other bytes."""
        self.touched = False
        """The application may have changed it since `changed`."""

    # --- what the gateway has -----------------------------------------------------------------

    def arrived(self, received: bytes) -> int | None:
        """An event has come with this, which is PHP-serialized, or nothing where none was ever
        set: its number for `seen`, unless it tells nothing."""
        if received == self._last and not self._sets:
            return None
        self._last = received
        self._arrived += 1
        return self._arrived

    def seen(self, number: int, received: bytes) -> bool:
        """It is its turn; False where the gateway has to be asked."""
        if number <= self._older:
            return True
        if self._sets == 1 and received == self._loaded:
            self._know(received)
        elif self._sets or (number <= self._doubtful and received != self._received):
            return False
        else:
            self._replace(received)
        return True

    def ask(self) -> Question:
        """The gateway is being asked."""
        self._last = None
        return Question(self._arrived, self._sets)

    def answered(self, question: Question, answer: bytes) -> None:
        """That is what it has, unless it was set here meanwhile."""
        if self._sets != question.sets:
            return
        self._older, self._doubtful = question.arrived, self._arrived
        if self._sets and answer == self._loaded:
            self._know(answer)
        else:
            self._replace(answer)

    def _know(self, received: bytes) -> None:
        """The gateway has what the copy is."""
        self._received = received
        self._sets = 0

    def _replace(self, received: bytes) -> None:
        if self._sets or received != self._received:
            self._session = None
        self._know(received)

    # --- what the application has -------------------------------------------------------------

    def value(self) -> Session:
        """The application's own, to read and to change. Raises AppError: see `_decoded`."""
        self.touched = True
        if self._session is None:
            self._session = _decoded(self._received)
            self._loaded = dumps(self._session)
        return self._session

    def changed(self) -> bytes | None:
        """What has to be set at the gateway, if the application has changed anything since the
        last call. Raises SerializedError for what cannot be kept there."""
        if not self.touched:
            return None
        self.touched = False
        if self._session is None:
            return None
        now = dumps(self._session)
        if now == self._loaded:
            return None
        self._loaded = now
        self._older = self._arrived
        self._sets += 1
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
