"""What a request for a file is answered with, but for the file's content (RFC 9110)."""

import re
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from pushline.app.files import File, Redirect, content_type
from pushline.codecs import handshake
from pushline.codecs.http_head import Request

_ALWAYS: Final = (
    ("Cache-Control", "no-cache"),  # asked for again each time, by its ETag
    ("X-Content-Type-Options", "nosniff"),
    ("Accept-Ranges", "none"),
    ("Connection", "close"),
)
_TAG: Final = re.compile(r'"[^"]*"')


def redirection(request: Request, redirect: Redirect) -> bytes:
    """The whole answer; the query is kept. It stays on this host, being a path."""
    query = f"?{request.query}" if request.query else ""
    return handshake.response(
        HTTPStatus.MOVED_PERMANENTLY,
        headers=[("Location", redirect.path + query)],
        head_only=request.method == "HEAD",
    )


def head_of(request: Request, file: File) -> tuple[bytes, bool]:
    """The head of the answer, and whether the file's content follows it."""
    tag = etag(file)
    validators = [("ETag", tag), ("Last-Modified", formatdate(file.modified // 10**9, usegmt=True))]
    if _is_known(tag, request.header("if-none-match")):
        return handshake.head(HTTPStatus.NOT_MODIFIED, [*validators, *_ALWAYS]), False
    about = [("Content-Type", content_type(file.name)), ("Content-Length", str(file.size))]
    head = handshake.head(HTTPStatus.OK, [*about, *validators, *_ALWAYS])
    return head, request.method != "HEAD" and file.size > 0


def etag(file: File) -> str:
    """A strong one: another content has another size or time."""
    return f'"{file.size:x}-{file.modified:x}"'


def _is_known(tag: str, if_none_match: str | None) -> bool:
    """Section 13.1.2: any of a list, or `*`; the comparison is weak, so `W/` means nothing."""
    if if_none_match is None:
        return False
    return if_none_match == "*" or tag in _TAG.findall(if_none_match)
