"""The first line on the text port where a secret is set: `auth SECRET`. Sans-I/O."""

import hmac

from pushline.errors import BadLineError

OK = b"ok\n"
PREFIX = b"auth "
LONGEST = 4096
"""Bytes that are buffered of a peer that has not shown the secret yet."""


class Greeting:
    """Waits for a peer's greeting, which one that is trusted (not `required`) may leave out."""

    __slots__ = ("_expected", "required", "seen")

    def __init__(self, secret: str, *, required: bool) -> None:
        self._expected = PREFIX + secret.encode()
        self.required = required
        self.seen = b""
        """All that has come so far."""

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """None until the line is whole, then the answer to it and the bytes behind it.

        Raises BadLineError where the peer has to be closed.
        """
        self.seen += data
        line, end, rest = self.seen.partition(b"\n")
        if not self.required and not _is_greeting(line, whole=bool(end)):
            return b"", self.seen
        if not end and len(line) <= LONGEST:
            return None
        if not hmac.compare_digest(line.removesuffix(b"\r"), self._expected):
            raise BadLineError("auth", "a wrong secret, or none")
        return OK, rest


def _is_greeting(line: bytes, *, whole: bool) -> bool:
    return line.startswith(PREFIX) or (not whole and PREFIX.startswith(line))
