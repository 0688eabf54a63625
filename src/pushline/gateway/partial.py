"""Answers without those of gateways that did not give any."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Missing(NamedTuple):
    """A gateway that had no part in a call: its address, `IPv4:PORT`, and why."""

    address: str
    why: str


class Partial:
    """Whether the calls of one client may be answered in part: `with partial.allowed() as missing`.

    It holds for what is called inside, in tasks and threads that wait for it too.
    """

    @contextmanager
    def allowed(self) -> Iterator[list[Missing]]:
        """Gateways that do not answer are put into the list, and are no errors."""
        missing: list[Missing] = []
        token = _allowed.set({**_allowed.get(), self: missing})
        try:
            yield missing
        finally:
            _allowed.reset(token)

    @property
    def missing(self) -> list[Missing] | None:
        """Where to put who is missing; None: that is an error."""
        return _allowed.get().get(self)


_allowed: ContextVar[Mapping[Partial, list[Missing]]] = ContextVar("partial", default={})  # noqa: B039 - replaced, never changed
