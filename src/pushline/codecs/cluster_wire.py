"""What the nodes of a cluster publish, and where. Sans-I/O.

A message for those who are behind a channel is one byte and the message as it is. Everything else
is a question, which is a Command and a number for its answer, or such an answer: one byte, four of
the number, six of the node whose it is, and MessagePack.
"""

from struct import Struct
from typing import Any, Final, NamedTuple, TypeAlias, Union, get_args

import msgspec

from pushline.commands import Command
from pushline.errors import BadFrameError
from pushline.messages import LONGEST_BETWEEN_NODES, Message

EVERYONE: Final = b"a"
"""The channel of all nodes."""
LONGEST_WHY: Final = 1000
"""Characters."""

_ASK, _TELL, _FAIL = b"?=!"
_KINDS: Final = {(False, False): b"t", (True, False): b"b", (True, True): b"e"}
"""By whether a message is binary, and whether it is encoded."""
_FLAGS: Final = {kind[0]: flags for flags, kind in _KINDS.items()}

_head: Final = Struct("!BI6s")
_encode: Final = msgspec.msgpack.Encoder().encode
_commands: Final[tuple[type[Command[Any]], ...]] = tuple(Command.__subclasses__())
_decode_command: Final = msgspec.msgpack.Decoder(Union[_commands]).decode  # noqa: UP007 - made of a tuple
_decode_result: Final = {
    each: msgspec.msgpack.Decoder(get_args(each.__orig_bases__[0])[0]).decode  # type: ignore[attr-defined]
    for each in _commands
}
"""By the class of the Command, which says what its answer is."""


class Question(NamedTuple):
    """A Command for other nodes, asked by `node`; with number 0 it wants no answer."""

    number: int
    node: str
    command: Command[Any]


class Answer(NamedTuple):
    """To a question, by `node`. Where it has `failed`, `result` is why, as UTF-8."""

    number: int
    node: str
    result: bytes
    failed: bool


Payload: TypeAlias = Message | Question | Answer


def channel_of_uid(uid: str, utype: str) -> bytes:
    """Where messages for one user go."""
    return b"u" + user_of(uid, utype)


def user_of(uid: str, utype: str) -> bytes:
    """A user's name among all users; no utype holds the NUL between."""
    return f"{utype}\0{uid}".encode()


def channel_of_group(group: str) -> bytes:
    """Where messages for one group go."""
    return b"g" + group.encode()


def channel_of_node(node: str) -> bytes:
    """Where what concerns one node goes."""
    return b"n" + node.encode()


def user_in(channel: bytes) -> tuple[str, str] | None:
    """The uid and utype whose channel it is, if it is a user's."""
    if channel[:1] != b"u":
        return None
    utype, _, uid = channel[1:].decode().partition("\0")
    return uid, utype


def node_in(channel: bytes) -> str | None:
    """The node whose channel it is, if it is a node's."""
    return channel[1:].decode() if channel[:1] == b"n" else None


def encode_message(message: Message) -> bytes:
    """For everyone behind a channel."""
    return _KINDS[message.binary, message.encoded] + message.data


def encode_question(question: Question) -> bytes:
    """Raises TypeError for a session with what MessagePack lacks, ValueError for one too long."""
    return _checked(_head_of(_ASK, question.number, question.node) + _encode(question.command))


def encode_answer(number: int, node: str, result: object) -> bytes:
    """Raises TypeError and ValueError likewise."""
    return _checked(_head_of(_TELL, number, node) + _encode(result))


def encode_failure(number: int, node: str, why: str) -> bytes:
    """In place of an answer; `why` may be anything that somebody has said."""
    return _head_of(_FAIL, number, node) + why[:LONGEST_WHY].encode(errors="replace")


def decode(payload: bytes) -> Payload:
    """What another node has published. Raises BadFrameError for what none would."""
    flags = _FLAGS.get(payload[0]) if payload else None
    if flags is not None:
        return Message(payload[1:], *flags)
    try:
        kind, number, address = _head.unpack_from(payload)
        if kind == _ASK:
            return Question(number, address.hex(), _decode_command(payload[_head.size :]))
    except Exception as error:
        raise BadFrameError("command", f"not what a node publishes: {error}") from None
    if kind not in (_TELL, _FAIL):
        raise BadFrameError("command", "not what a node publishes")
    return Answer(number, address.hex(), payload[_head.size :], kind == _FAIL)


def decode_result(command: Command[Any], result: bytes) -> Any:
    """What a Command's answer is. Raises BadFrameError."""
    try:
        return _decode_result[type(command)](result)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrameError("command", f"not an answer to {type(command).__name__}") from error


def _checked(payload: bytes) -> bytes:
    if len(payload) > LONGEST_BETWEEN_NODES:
        raise ValueError(f"{len(payload)} bytes, and nodes send each other {LONGEST_BETWEEN_NODES}")
    return payload


def _head_of(kind: int, number: int, node: str) -> bytes:
    return _head.pack(kind, number, bytes.fromhex(node))
