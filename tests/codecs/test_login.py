import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.login import Login, decode, encode, token_of
from pushline.errors import BadNameError

BOTH = pytest.mark.parametrize("bare", [True, False])


@BOTH
@pytest.mark.parametrize(
    ("text", "login"),
    [
        ('{"uid":"42"}', Login("42", "0", "")),
        ('{"uid":42}', Login("42", "0", "")),
        ('{"uid":"0"}', Login("0", "0", "")),
        ('{"uid":0}', Login("0", "0", "")),
        ('{"uid":"a","utype":null}', Login("a", "0", "")),
        ('{"uid":"a","utype":1}', Login("a", "1", "")),
        ('{"uid":"a","utype":"1"}', Login("a", "1", "")),
        ('{"uid":"a","utype":"vip","checkToken":"t"}', Login("a", "vip", "t")),
        ('{"uid":"a","checkToken":7}', Login("a", "0", "")),
        ('{"uid":"a","checkToken":null}', Login("a", "0", "")),
        (' { "x" : [1], "uid" : "\\u0061" } ', Login("a", "0", "")),
        ('{"uid":"b","uid":"a"}', Login("a", "0", "")),
        ('{"uid":"a","data":"heartbeat"}', Login("a", "0", "")),
        (json.dumps({"uid": "é" * 127 + "x"}), Login("é" * 127 + "x", "0", "")),
    ],
)
def test_an_object_with_a_uid_is_a_login(text: str, login: Login, bare: bool) -> None:
    assert decode(text, bare=bare) == login


NO_OBJECT = [
    *("uid1", '"uid1"', "42", "[]", "null", " ", "Zoë 😀", "{", '{"uid":"a"', '{"uid":"a"}x'),
    *("{}", '{"uid":null}', '{"data":"x"}', '{"data":["heartbeat"]}', '"heartbeat"', "heartbeat"),
    *('{"uid":"\\ud800"}', '{"uid":"a","checkToken":"\\ud800"}', "[" * 255),
]


@pytest.mark.parametrize("text", NO_OBJECT)
def test_anything_else_is_a_bare_uid_as_it_is(text: str) -> None:
    assert decode(text, bare=True) == Login(text, "0", "")


@pytest.mark.parametrize("text", [*NO_OBJECT, "", "a\nb", "x" * 256, "[" * 60_000])
def test_anything_else_is_no_login_where_a_proof_is_asked_for(text: str) -> None:
    assert decode(text, bare=False) is None


@BOTH
@pytest.mark.parametrize(
    "text", ['{"data":"heartbeat"}', ' {"x":1,"data" : "heart\\u0062eat", "uid":null} ']
)
def test_a_heartbeat_is_never_a_uid(text: str, bare: bool) -> None:
    assert decode(text, bare=bare) is None


@pytest.mark.parametrize(
    "text", ["", "x" * 256, "é" * 128, "a\nb", "\0", "\x7f", "\x85", "[" * 60_000]
)
def test_a_bare_uid_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadNameError):
        decode(text, bare=True)


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        *('"uid":""', '"uid":true', '"uid":false', '"uid":1.0', '"uid":[]', '"uid":{}'),
        *('"uid":["a"]', '"uid":9223372036854775808', '"uid":"a\\nb"', '"uid":"\\u0085"'),
        *(f'"uid":"{"x" * 256}"', f'"uid":"{"é" * 128}"'),
        *('"uid":"a","utype":""', '"uid":"a","utype":false', '"uid":"a","utype":1.0'),
        *('"uid":"a","utype":[1]', '"uid":"a","utype":"\\t"'),
    ],
)
def test_a_uid_or_utype_that_is_no_name_is_refused(fields: str, bare: bool) -> None:
    with pytest.raises(BadNameError):
        decode(f"{{{fields}}}", bare=bare)


def test_the_token_is_that_of_the_protocols_example() -> None:
    assert token_of("42", "1", "s3") == "c6dc8f189e84d57322ff1f6d30e24c01"


def test_the_token_is_made_of_utf8() -> None:
    expected = hashlib.md5("Zoë1geheim😀".encode()).hexdigest()
    assert token_of("Zoë", "1", "geheim😀") == expected


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=60)


@BOTH
@given(NAMES, NAMES, st.text(st.characters(codec="utf-8")))
def test_what_is_encoded_is_decoded_with_its_proof(
    bare: bool, uid: str, utype: str, secret: str
) -> None:
    login = Login(uid, utype, token_of(uid, utype, secret))
    assert decode(encode(uid, utype, secret), bare=bare) == login


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.booleans())
def test_any_text_is_a_login_or_none_or_refused(text: str, bare: bool) -> None:
    try:
        login = decode(text, bare=bare)
    except BadNameError:
        return
    assert login is None or 0 < len(login.uid.encode()) <= 255
