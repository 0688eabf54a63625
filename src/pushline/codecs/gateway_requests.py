"""What a gateway is asked: a frame as a Command, and its answer as bytes. Sans-I/O, by tables.

Names and JSON are PHP's: uids and groups may be numbers, and an array of ids is an object, or a
list where its keys happen to be 0 to n-1. Empty names are left out.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from pushline.codecs.gateway_frames import (
    BINARY,
    ENCODED,
    PLAIN,
    WHOLE_LISTS,
    Cmd,
    Frame,
    begins_serialized,
)
from pushline.codecs.php_serialize import Value, dumps, loads, plain
from pushline.commands import (
    BindUid,
    ClientsOfUids,
    Command,
    CountOfClients,
    CountsOfGroups,
    Destroy,
    Groups,
    IsOnline,
    JoinGroup,
    Kick,
    LeaveGroup,
    Select,
    Selected,
    SendToAll,
    SendToClient,
    SendToGroup,
    SendToUid,
    SerializedSession,
    SerializedSessions,
    SetSession,
    UnbindUid,
    Ungroup,
    UpdateSession,
)
from pushline.errors import (
    AppError,
    BadFrameError,
    BadNameError,
    PushlineError,
)
from pushline.gateway import close_of
from pushline.messages import KICKED, Close, Message
from pushline.names import DEFAULT_UTYPE, client_id_of, name_of

Encode = Callable[[Any], bytes]
"""A Command's answer as PHP-serialized data."""
Request = tuple[Command[Any], Encode | None]
"""What a frame asks for; no Encode where no answer is due."""

LAST_ID: Final = 0xFFFFFFFF
_FIELDS: Final = ("session", "uid", "groups")
_NAMELESS: Final = ("", "0")
"""What PHP calls empty."""
_KNOCK: Final = b"pushline"
"""Ours: who asks with this whether connection 0 is online, asks whether a gateway is Pushline's.
That is the answer too."""


def fault_of(error: PushlineError) -> BadFrameError:
    """What is wrong with a frame of which decoding, or carrying it out, has raised `error`."""
    if isinstance(error, BadFrameError):
        return error
    return BadFrameError("name" if isinstance(error, BadNameError) else "serialized", str(error))


class Requests:
    """The requests to one gateway. `address` is the first part of its client_ids, 48 bits.

    `by_command` has the function that decodes a frame for each number of a command. They raise
    BadFrameError, BadNameError and SerializedError, of which `fault_of` makes a BadFrameError;
    after it the link's next frame can be taken.
    """

    def __init__(self, address: int) -> None:
        self._address = address
        self.by_command: dict[int, Callable[[Frame], Request]] = {
            Cmd.SEND_TO_ONE: self._send_to_one,
            Cmd.SEND_TO_ALL: self._send_to_all,
            Cmd.KICK: self._kick,
            Cmd.DESTROY: lambda frame: (Destroy(self._client(frame)), None),
            Cmd.UPDATE_SESSION: self._update_session,
            Cmd.ALL_SESSIONS: lambda _: (SerializedSessions(None), _sessions),
            Cmd.IS_ONLINE: self._is_online,
            Cmd.BIND_UID: self._bind_uid,
            Cmd.UNBIND_UID: self._unbind_uid,
            Cmd.SEND_TO_UID: self._send_to_uid,
            Cmd.CLIENTS_OF_UID: self._clients_of_uid,
            Cmd.CLIENTS_OF_UIDS: self._clients_of_uids,
            Cmd.JOIN_GROUP: self._join_group,
            Cmd.LEAVE_GROUP: self._leave_group,
            Cmd.SEND_TO_GROUP: self._send_to_group,
            Cmd.SESSIONS_OF_GROUP: self._sessions_of_group,
            Cmd.COUNT_OF_GROUP: self._count_of_group,
            Cmd.SELECT: self._select,
            Cmd.GROUP_NAMES: lambda _: (Groups(), _names),
            Cmd.UNGROUP: self._ungroup,
            Cmd.COUNTS_OF_GROUPS: self._counts_of_groups,
            Cmd.GET_SESSION: lambda frame: (SerializedSession(self._client(frame)), _session),
            Cmd.SET_SESSION: self._set_session,
        }

    # --- sends ----------------------------------------------------------------------------------

    def _send_to_one(self, frame: Frame) -> Request:
        return SendToClient((self._client(frame),), _message(frame)), None

    def _send_to_all(self, frame: Frame) -> Request:
        message = _message(frame)
        if not frame.ext:
            return SendToAll(None, message), None
        named = _object(frame.ext)
        excluded = self._excluded(named.get("exclude"))
        if named.get("connections") is None:
            return SendToAll(None, message, excluded), None
        clients = self._clients(_values(named["connections"]))
        wanted = (client for client in clients if client not in excluded)
        return SendToClient(tuple(wanted), message), None

    def _send_to_uid(self, frame: Frame) -> Request:
        names = _decode_names(frame.ext)
        uids = (name_of(names[0]),) if len(names) == 1 and names[0] else _targets_of(names)
        return SendToUid(uids, DEFAULT_UTYPE, _message(frame)), None

    def _send_to_group(self, frame: Frame) -> Request:
        named, message = _object(frame.ext), _message(frame)
        groups = _targets_of(_values(named.get("group")))
        return SendToGroup(groups, None, message, self._excluded(named.get("exclude"))), None

    # --- actions --------------------------------------------------------------------------------

    def _kick(self, frame: Frame) -> Request:
        message = None if not frame.flag & PLAIN and frame.body == b"N;" else _message(frame)
        return Kick((self._client(frame),), message, _close(frame.ext)), None

    def _bind_uid(self, frame: Frame) -> Request:
        uid = _name(frame.ext)
        return BindUid(self._client(frame), uid, DEFAULT_UTYPE), None

    def _unbind_uid(self, frame: Frame) -> Request:
        uid = name_of(_text(frame.ext)) if frame.ext else None
        return UnbindUid(self._client(frame), uid), None

    def _join_group(self, frame: Frame) -> Request:
        group = _name(frame.ext)
        return JoinGroup(self._client(frame), group), None

    def _leave_group(self, frame: Frame) -> Request:
        group = _name(frame.ext)
        return LeaveGroup(self._client(frame), group), None

    def _ungroup(self, frame: Frame) -> Request:
        group = _name(frame.ext)
        return Ungroup(group), None

    def _set_session(self, frame: Frame) -> Request:
        return SetSession(self._client(frame), _serialized(frame)), None

    def _update_session(self, frame: Frame) -> Request:
        whole_lists = bool(frame.flag & WHOLE_LISTS)
        return UpdateSession(self._client(frame), _serialized(frame), whole_lists), None

    # --- queries --------------------------------------------------------------------------------

    # A name that nobody can have is no fault here: nobody has it, and the link's other questions
    # have to be answered.

    def _is_online(self, frame: Frame) -> Request:
        encode = _flag if frame.connection_id or frame.ext != _KNOCK else _knocked
        return IsOnline(self._client(frame)), encode

    def _clients_of_uid(self, frame: Frame) -> Request:
        uid = _asked(frame.ext)
        return ClientsOfUids((uid,), DEFAULT_UTYPE), partial(_ids_of, uid)

    def _clients_of_uids(self, frame: Frame) -> Request:
        return ClientsOfUids(_asked_in(_decode_names(frame.ext)), DEFAULT_UTYPE), _ids_by_name

    def _sessions_of_group(self, frame: Frame) -> Request:
        return SerializedSessions(_asked(frame.ext)), _sessions

    def _count_of_group(self, frame: Frame) -> Request:
        if not frame.ext:
            return CountOfClients(), dumps
        group = _asked(frame.ext)
        return CountsOfGroups((group,)), partial(_count_of, group)

    def _counts_of_groups(self, frame: Frame) -> Request:
        return CountsOfGroups(_asked_in(_decode_names(frame.ext))), dumps

    def _select(self, frame: Frame) -> Request:
        asked = _object(frame.ext)
        fields = [each for each in _values(asked.get("fields")) if each in _FIELDS]
        sessions, where = "session" in fields, asked.get("where")
        if not where:
            return Select(None, None, None, sessions), partial(_selection, fields)
        if not isinstance(where, dict):
            raise BadFrameError("json", "the `where` of a select is no object")
        groups, uids, ids = (
            _values(where.get(key) or []) for key in ("groups", "uid", "connection_id")
        )
        command = Select(_asked_in(groups), _asked_in(uids), tuple(self._clients(ids)), sessions)
        return command, partial(_selection, fields)

    # --- whom a frame names ---------------------------------------------------------------------

    def _client(self, frame: Frame) -> str:
        return client_id_of(self._address, frame.connection_id)

    def _clients(self, ids: Iterable[object]) -> dict[str, None]:
        """The distinct ones, in their order; what is no id is nobody."""
        numbers = filter(None, map(_id, ids))
        return dict.fromkeys(client_id_of(self._address, number) for number in numbers)

    def _excluded(self, ids: object) -> frozenset[str]:
        if ids is None:
            return frozenset()
        keys: Iterable[object] = ids if isinstance(ids, dict) else range(len(_values(ids)))
        return frozenset(self._clients(keys))


def _id(value: object) -> int:
    """A connection's number, or 0, which is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    return value if type(value) is int and 0 < value <= LAST_ID else 0


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadNameError("a name is not UTF-8") from None


def _name(data: bytes) -> str:
    """Raises BadNameError, as for what PHP takes for none."""
    text = _text(data)
    if text in _NAMELESS:
        raise BadNameError("an empty name")
    return name_of(text)


def _names_of(values: Iterable[object]) -> tuple[str, ...]:
    """The distinct ones, in their order. Raises BadNameError."""
    return tuple(dict.fromkeys(name_of(value) for value in values if value not in ("", None)))


def _targets_of(values: Iterable[object]) -> tuple[str, ...]:
    """The same, at least one."""
    names = _names_of(values)
    if not names:
        raise BadNameError("a message for nobody: no name, or only empty ones")
    return names


def _asked(data: bytes) -> str:
    """A name to be looked up; empty, as none is, for what cannot be one."""
    try:
        return name_of(data.decode())
    except (UnicodeDecodeError, BadNameError):
        return ""


def _asked_in(values: Iterable[object]) -> tuple[str, ...]:
    """The distinct names among them."""
    names: dict[str, None] = {}
    for value in values:
        with contextlib.suppress(BadNameError):
            names[name_of(value)] = None
    return tuple(names)


_decode_list = msgspec.json.Decoder(list[Any]).decode


def _json(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadFrameError("json", f"ext_data is not JSON: {error}") from None


def _object(data: bytes) -> dict[str, Any]:
    value = _json(data)
    if value == []:
        return {}  # as PHP writes an empty array
    if not isinstance(value, dict):
        raise BadFrameError("json", "ext_data is no JSON object")
    return value


def _decode_names(data: bytes) -> list[Any]:
    """As `_values` has them: nearly always they are a list."""
    try:
        return _decode_list(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _values(_json(data))


def _values(array: object) -> list[object]:
    """Of what PHP has as an array."""
    if isinstance(array, Mapping):
        return list(array.values())
    if not isinstance(array, list):
        raise BadFrameError("json", "ext_data has no array where one belongs")
    return array


def _message(frame: Frame) -> Message:
    flag, body = frame.flag, frame.body
    if flag == PLAIN and body.isascii():
        return Message(body)  # nearly always
    if flag & ENCODED:
        return Message(body, binary=True, encoded=True)
    if flag & PLAIN:
        return Message(body, binary=bool(flag & BINARY) or not _is_text(body))
    value = loads(body)
    return Message(value.encode() if isinstance(value, str) else _json_of(value))


def _json_of(value: Value) -> bytes:
    try:
        text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise BadFrameError("serialized", "a message that JSON cannot have") from None
    return text.encode()


def _serialized(frame: Frame) -> bytes:
    """A session, unread. What begins as none does would be no answer to a worker's question."""
    if frame.ext and not begins_serialized(frame.ext):
        raise BadFrameError("serialized", "a session that is not serialized data")
    return frame.ext


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _close(ext: bytes) -> Close:
    """Ours: how a client is to be closed. PHP sends nothing there."""
    if not ext:
        return KICKED
    named = _object(ext)
    try:
        return close_of(named.get("code", KICKED.code), named.get("reason", KICKED.reason))
    except AppError as error:
        raise BadFrameError("json", str(error)) from None


# --- answers ------------------------------------------------------------------------------------


def _number(client: str) -> int:
    """A client's number on its node."""
    return int(client[12:], 16)


def _flag(yes: bool) -> bytes:
    return dumps(int(yes))


def _knocked(_online: bool) -> bytes:
    return dumps(_KNOCK)


def _session(session: bytes | None) -> bytes:
    return b"N;" if session is None else session or dumps({})


def _sessions(sessions: dict[str, bytes]) -> bytes:
    return dumps({_number(client): session for client, session in sessions.items()})


def _ids_of(uid: str, clients: dict[str, list[str]]) -> bytes:
    return dumps([*map(_number, clients[uid])])


def _ids_by_name(clients: dict[str, list[str]]) -> bytes:
    return dumps({uid: [*map(_number, ids)] for uid, ids in clients.items()})


def _count_of(group: str, counts: dict[str, int]) -> bytes:
    return dumps(counts[group])


def _names(names: list[str]) -> bytes:
    """PHP has them as keys of an array, so that decimal ones are integers."""
    return dumps([*loads(dumps(dict.fromkeys(names)))])  # type: ignore[misc] # it is a dict


def _selection(fields: list[str], selected: list[Selected]) -> bytes:
    return dumps({_number(each.client): _row(fields, each) for each in selected})


def _row(fields: list[str], selected: Selected) -> dict[str, object]:
    values = {
        "session": selected.session,
        "uid": selected.uid,
        "groups": {group: group for group in selected.groups} or None,
    }
    return {field: values[field] for field in fields}
