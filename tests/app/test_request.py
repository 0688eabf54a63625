"""What an application sees of a request."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.address import Address
from pushline.app.request import Request, request_of
from pushline.codecs import http_head
from pushline.codecs.http_head import HeadLimits, HeadReader


def request(target: str = "/", *headers: str, peer: object = ("127.0.0.1", 5)) -> Request:
    lines = [f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]
    head = HeadReader(HeadLimits(8192, 32768, 128)).feed("\r\n".join(lines).encode("latin-1"))
    assert isinstance(head, http_head.Request)
    return request_of(head, peer)


def test_the_path_is_decoded_and_the_query_is_none_of_it() -> None:
    assert request("/a%20b/%C3%A9?x=1").path == "/a b/é"
    assert request("/").path == "/"


def test_of_a_repeated_name_the_last_counts_and_empty_values_stay() -> None:
    assert request("/?a=1&b=&a=2&c=%26+x").query == {"a": "2", "b": "", "c": "& x"}


@given(
    st.dictionaries(st.text("abc", min_size=1), st.text(st.characters(exclude_categories=["Cs"])))
)
def test_any_query_comes_back(query: dict[str, str]) -> None:
    target = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    assert request(f"/?{target}").query == query


def test_header_names_are_lower_case() -> None:
    assert request("/", "User-Agent: one").headers == {"host": "x", "user-agent": "one"}


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ('a="1"', {"a": "1"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=b=c;;  ; d", {"a": "b=c"}),
        ("=x; a=", {"a": ""}),
        ("", {}),
    ],
)
def test_cookies(header: str, cookies: dict[str, str]) -> None:
    assert request("/", f"Cookie: {header}").cookies == cookies


def test_the_peers_address_is_there_and_empty_for_a_unix_socket() -> None:
    assert request().address == Address("127.0.0.1", 5)
    assert request(peer=("::1", 5, 0, 0)).address == Address("::1", 5)
    assert request(peer="").address == Address()
