"""What a back end can ask for, as frozen values. Every door for back ends ends in one of these."""

import msgspec

from pushline.messages import Message


class SendToUid(msgspec.Struct, frozen=True, gc=False):
    """`message` to every connection of each of `uids` (distinct) in `utype`."""

    uids: tuple[str, ...]
    utype: str
    message: Message


class SendToAll(msgspec.Struct, frozen=True, gc=False):
    """`message` to every connection of `utype`."""

    utype: str
    message: Message


Command = SendToUid | SendToAll
