"""Answers without those of gateways, or nodes of a cluster, that did not give any."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Missing(NamedTuple):
    """Who had no part in a call, and why.

    `address` is a gateway's, `IPv4:PORT`, or a node's name, the first 12 digits of its client_ids.
    """

    address: str
    why: str


class Partial:
    """Whether calls of one Executor may be answered in part: `with partial.allowed() as missing`.

    It holds for what is called inside, in tasks and threads that wait for it too.
    """

    @contextmanager
    def allowed(self) -> Iterator[list[Missing]]:
        """Who does not answer is put into the list, and is no error."""
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
