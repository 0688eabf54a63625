"""The shapes that a Command has on the wire to GatewayWorker's gateways. Sans-I/O.

A gateway is named by its place: the 48 bits of its address with which its client_ids begin. What
a call sends stands in Parts; what comes back for it, if anything does, in the shape of the call.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class Parts(NamedTuple):
    """Who is sent what: in `only` by place, and every other gateway `others`, if that is not empty.

    What is sent to one is one frame, or several joined.
    """

    only: Mapping[int, bytes] = {}
    others: bytes = b""

    def of(self, place: int) -> bytes:
        """What the gateway there is sent; empty: nothing."""
        return self.only.get(place, self.others)


class Tell(msgspec.Struct, Generic[T], frozen=True):
    """Something that gateways do not answer to: `answer` is there once it is sent."""

    parts: Parts
    answer: T


class Ask(msgspec.Struct, Generic[T], frozen=True):
    """One question to each gateway, and `more` where one frame would be too long for it.

    `read` makes something of the payload of the gateway at a place, and `merge` the answer of all
    that was read. `read` raises BadFrameError for what is no answer to the question, and
    SerializedError for a session that Python code cannot have.
    """

    parts: Parts
    read: Callable[[int, bytes], Any]
    merge: Callable[[Sequence[Any]], T]
    more: Sequence[Parts] = ()


class AskThenTell(msgspec.Struct, Generic[T], frozen=True):
    """One question to each gateway, and what its payload makes of it is sent to the same gateway.

    `then` gives that, empty where nothing is to be sent, and raises as `read` does. A gateway that
    is Pushline's needs no question where there is `ours`. `more` is as Ask has it.
    """

    parts: Parts
    then: Callable[[int, bytes], bytes]
    answer: T
    ours: Parts | None = None
    more: Sequence[Parts] = ()


Call = Tell[T] | Ask[T] | AskThenTell[T]
