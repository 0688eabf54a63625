"""One exception tree. What goes over a wire carries its wire code.

PushlineError
├── ConfigError             a wrong key or value, or a setting that would be unsafe
├── PeerError               the other side misbehaved
│   ├── ProtocolError       WebSocket: `close` is the close code and reason to send
│   ├── HttpError           HTTP: `status` and `headers` of the answer
│   ├── BadLineError        text port: why a line is answered with `fail`
│   ├── BadFrameError       GatewayWorker: a frame or a Register's line that cannot be taken
│   └── SerializedError     GatewayWorker: data that is not PHP's serialization, or cannot be in it
├── BadNameError            a uid, utype or group that is none
├── BadClientIdError        a client_id that is none
├── BadMessageError         neither text nor bytes
├── UnsupportedError        this wire cannot carry what was asked
├── AppError                the application was used in a way that cannot work
└── ClientError             a back end's client could not do what it was asked
    ├── UnavailableError    nothing answers at that address, or the connection was lost
    ├── DeadlineError       no answer in time; the push may still have been delivered
    ├── RejectedError       the server did not take the secret
    └── InvalidPushError    the server would not understand this push; nothing was sent
"""

from pushline.messages import Close


class PushlineError(Exception):
    """The root of everything that Pushline raises."""


class ConfigError(PushlineError):
    """Says in one line what is wrong, where it stands, and what is allowed."""


class PeerError(PushlineError):
    """The other side misbehaved; never a fault of the caller."""


class ProtocolError(PeerError):
    """The peer broke the WebSocket protocol or a limit; `close` says how to fail the connection."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class HttpError(PeerError):
    """A request that is answered with `status` (a number) and the connection closed."""

    def __init__(
        self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class BadLineError(PeerError):
    """A line on the text port that is answered with `fail`; its text says why.

    `kind` is one of a few words, for counting: json, utf8, name, http, auth, length or limit.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class BadFrameError(PeerError):
    """A frame of GatewayWorker's, or a line of its Register's, that cannot be taken; says why.

    `kind` is one of a few words, for counting: length, command, json, serialized, name, auth,
    limit or register.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class SerializedError(PeerError):
    """Data that is not PHP's serialization, or that cannot be written in it; says what."""


class BadNameError(PushlineError):
    """A uid, utype or group is 1 to 255 bytes of UTF-8 without control characters."""


class BadClientIdError(PushlineError):
    """A client_id is 20 hexadecimal digits."""


class BadMessageError(PushlineError):
    """A message is text that UTF-8 can have, or bytes."""


class UnsupportedError(PushlineError):
    """This wire cannot carry what was asked; nothing was sent."""


class AppError(PushlineError):
    """The application was used in a way that cannot work; says what to do instead."""


class ClientError(PushlineError):
    """A back end's client could not do what it was asked; its text ends with how far that came.

    Of pushes through the text port: the first of the call had these `answers`, and no more than
    `sent` of them went out; None where that is not known.
    """

    answers: tuple[bool, ...] = ()
    sent: int | None = None

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


class UnavailableError(ClientError):
    """Nothing answers at that address, or the connection was lost before the answer came."""


class DeadlineError(ClientError):
    """No answer came in time; the push may still have been delivered."""


class RejectedError(ClientError):
    """The server closed the connection because of the secret, or because there was none."""


class InvalidPushError(ClientError):
    """The server would not understand this push; nothing was sent."""

    sent = 0
