"""Actions as gateways take them, which answer to none. Sans-I/O."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from pushline.codecs.gateway_call import Parts, Tell
from pushline.codecs.gateway_call_sends import by_place, check_utype, flag_of
from pushline.codecs.gateway_frames import PLAIN, WHOLE_LISTS, Cmd, encode
from pushline.codecs.php_serialize import dumps
from pushline.commands import (
    BindUid,
    Destroy,
    JoinGroup,
    Kick,
    LeaveGroup,
    Session,
    SetSession,
    UnbindUid,
    Ungroup,
    UpdateSession,
)
from pushline.errors import SerializedError, UnsupportedError
from pushline.messages import KICKED, Close, Message
from pushline.names import split_client_id

Action = Tell[Any]

NO_MESSAGE: Final = b"N;"
"""PHP's null: a kick without a last message."""
IGNORED_NAME: Final = "0"
"""PHP's `empty()` takes it for none: gateways would ignore it without a word."""

_json: Final = msgspec.json.Encoder().encode


def _kick(command: Kick) -> Action:
    ext = _close_ext(command.close)
    flag, body = _last(command.message)
    frames = {
        place: b"".join(
            encode(Cmd.KICK, connection_id=connection, flag=flag, ext=ext, body=body)
            for connection in connections
        )
        for place, connections in by_place(command.clients).items()
    }
    return Tell(Parts(frames), None)


def _last(message: Message | None) -> tuple[int, bytes]:
    return (0, NO_MESSAGE) if message is None else (flag_of(message), message.data)


def _close_ext(close: Close) -> bytes:
    """Ours: PHP's gateways have one way to close, and read nothing here."""
    return b"" if close == KICKED else _json({"code": close.code, "reason": close.reason})


def _destroy(command: Destroy) -> Action:
    return _to_one(command.client, Cmd.DESTROY)


def _bind_uid(command: BindUid) -> Action:
    check_utype(command.utype)
    return _to_one(command.client, Cmd.BIND_UID, _name(command.uid))


def _unbind_uid(command: UnbindUid) -> Action:
    uid = b"" if command.uid is None else _name(command.uid)
    return _to_one(command.client, Cmd.UNBIND_UID, uid)


def _join_group(command: JoinGroup) -> Action:
    return _to_one(command.client, Cmd.JOIN_GROUP, _name(command.group))


def _leave_group(command: LeaveGroup) -> Action:
    return _to_one(command.client, Cmd.LEAVE_GROUP, _name(command.group))


def _ungroup(command: Ungroup) -> Action:
    return Tell(Parts(others=encode(Cmd.UNGROUP, ext=_name(command.group))), None)


def _set_session(command: SetSession) -> Action:
    return _to_one(command.client, Cmd.SET_SESSION, _session(command.session))


def _update_session(command: UpdateSession) -> Action:
    ext = _session(command.session)
    whole_lists = command.whole_lists or _has_list(command.session)
    flag = PLAIN | WHOLE_LISTS if whole_lists else PLAIN
    return _to_one(command.client, Cmd.UPDATE_SESSION, ext, flag)


def _to_one(client: str, cmd: int, ext: bytes = b"", flag: int = PLAIN) -> Action:
    place, connection = split_client_id(client)
    return Tell(Parts({place: encode(cmd, connection_id=connection, flag=flag, ext=ext)}), None)


def _name(name: str) -> bytes:
    if name == IGNORED_NAME:
        raise UnsupportedError(
            "GatewayWorker's gateways take the name 0 for none: it is no uid and no group there"
        )
    return name.encode()


def _session(session: Session | bytes) -> bytes:
    if isinstance(session, bytes):
        return session
    try:
        return dumps(session)
    except SerializedError as error:
        raise UnsupportedError(f"a session over GatewayWorker's wire: {error}") from None


def _has_list(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_has_list, value.values()))
    return isinstance(value, list | tuple)


BY_COMMAND: Final[dict[type, Callable[[Any], Action]]] = {
    Kick: _kick,
    Destroy: _destroy,
    BindUid: _bind_uid,
    UnbindUid: _unbind_uid,
    JoinGroup: _join_group,
    LeaveGroup: _leave_group,
    Ungroup: _ungroup,
    SetSession: _set_session,
    UpdateSession: _update_session,
}
"""How each type of Command is put."""
