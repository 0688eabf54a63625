"""The first messages of the plain client protocol: logins and heartbeats, and the token's proof."""

import hashlib
from typing import Any, NamedTuple

import msgspec

from pushline.names import check_name, name_of, utype_of


class Login(NamedTuple):
    """Who a client says it is; `token` is its proof, empty where none was given."""

    uid: str
    utype: str
    token: str


class _Json(msgspec.Struct, gc=False):
    uid: Any = None
    utype: Any = None
    checkToken: Any = None  # noqa: N815 - the wire's name
    data: Any = None


_decode = msgspec.json.Decoder(_Json).decode


def decode(text: str, *, bare: bool) -> Login | None:
    """The login in a text message, or None where it is none (a heartbeat, say).

    With `bare`, what is no JSON object with a uid is a uid itself, as it is. Raises BadNameError
    where the uid or the utype cannot be one.
    """
    json = _object(text)
    if json is not None and json.uid is not None:
        token = json.checkToken if isinstance(json.checkToken, str) else ""
        return Login(name_of(json.uid), utype_of(json.utype), token)
    if not bare or (json is not None and json.data == "heartbeat"):
        return None
    return Login(check_name(text), utype_of(None), "")


def encode(uid: str, utype: str, secret: str) -> str:
    """The login message that a browser sends, with its proof."""
    login = {"uid": uid, "utype": utype, "checkToken": token_of(uid, utype, secret)}
    return msgspec.json.encode(login).decode()


def token_of(uid: str, utype: str, secret: str) -> str:
    """The lower-case hex MD5 of uid, utype and secret: what existing back ends compute."""
    return hashlib.md5(f"{uid}{utype}{secret}".encode(), usedforsecurity=False).hexdigest()


def _object(text: str) -> _Json | None:
    try:
        return _decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
