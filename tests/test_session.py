"""What is kept for a connection: to the byte as a wire brought it, until somebody looks inside."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from pushline.codecs.php_serialize import MAX_DEPTH, dumps
from pushline.commands import Session
from pushline.connection import Connection
from pushline.errors import SerializedError
from pushline.session import copy_of, merge, put, serialized, session_of
from tests.core import Keeper, Loop

SET = b'a:2:{s:4:"name";s:3:"Ann";s:1:"n";i:1;}'
UNUSUAL = [
    b'a:1:{s:1:"f";d:0.10000000000000000000;}',
    b'a:1:{s:1:"n";i:+7;}',
    b'a:2:{s:1:"a";i:1;s:1:"a";i:2;}',
    b'a:1:{s:1:"b";s:2:"\xff\x00";}',
    b'a:1:{i:0;O:8:"stdClass":0:{}}',
    b"a:2:{i:0;a:0:{}i:1;R:2;}",
    b"i:7;",
    b"no serialized data at all",
    b'O:9:"Exception":0:{}' + bytes(1000),
]
"""What would come out otherwise, if it were read and written again, or not at all."""
REFUSED = [
    b'a:1:{i:0;O:8:"stdClass":0:{}}',
    b'a:1:{s:1:"c";C:11:"ArrayObject":2:{x}}',
    b'a:1:{s:1:"e";E:6:"Suit:H";}',
    b"a:2:{i:0;a:0:{}i:1;R:2;}",
    b"a:2:{i:0;a:0:{}i:1;r:2;}",
    b"i:7;",
    b's:2:"hi";',
    b"a:1:{",
    b"a:999999999:{}",
    SET + b" ",
    b"a:1:{i:0;" * MAX_DEPTH + b"a:0:{}" + b"}" * MAX_DEPTH,
]
"""What cannot be read safely, or is no session."""


@pytest.fixture
def connection() -> Iterator[Connection]:
    loop = Loop()
    yield Keeper(loop).log_in("uid1")
    loop.close()


def merged(connection: Connection, changes: Session | bytes, *, whole_lists: bool = False) -> bytes:
    merge(connection, changes, whole_lists=whole_lists)
    return serialized(connection)


# --- serialized data ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", UNUSUAL)
def test_serialized_data_is_given_back_as_it_came(connection: Connection, data: bytes) -> None:
    put(connection, data)
    assert serialized(connection) == data
    put(connection, SET)
    assert serialized(connection) == SET


@pytest.mark.parametrize("data", UNUSUAL)
@pytest.mark.parametrize("before", [None, b""])
def test_what_comes_to_an_empty_session_is_not_read(
    connection: Connection, before: bytes | None, data: bytes
) -> None:
    connection.session = before
    assert merged(connection, data) == data


def test_a_session_that_was_never_set_is_empty(connection: Connection) -> None:
    assert serialized(connection) == b""
    assert copy_of(connection) == {}
    assert connection.session is None


@pytest.mark.parametrize("data", REFUSED)
@pytest.mark.parametrize("kept", [SET, {"name": "Ann", "n": 1}])
def test_what_cannot_be_read_is_not_merged_and_what_is_there_stays(
    connection: Connection, kept: Session | bytes, data: bytes
) -> None:
    put(connection, kept)
    with pytest.raises(SerializedError):
        merge(connection, data, whole_lists=False)
    assert serialized(connection) == SET


@pytest.mark.parametrize("data", REFUSED)
def test_nothing_is_merged_into_what_cannot_be_read(connection: Connection, data: bytes) -> None:
    put(connection, data)
    for changes in (SET, {"n": 2}):
        with pytest.raises(SerializedError):
            merge(connection, changes, whole_lists=False)
    for look in (session_of, copy_of):
        with pytest.raises(SerializedError):
            look(connection)
    assert serialized(connection) == data


# --- a dict -------------------------------------------------------------------------------------


def test_a_dict_is_one_object_whoever_changes_it(connection: Connection) -> None:
    held = session_of(connection)
    put(connection, SET)
    assert held == {"name": "Ann", "n": 1}
    merge(connection, b'a:1:{s:4:"tags";a:2:{i:0;s:1:"a";i:1;s:1:"b";}}', whole_lists=False)
    merge(connection, {"n": 2}, whole_lists=False)
    assert held == {"name": "Ann", "n": 2, "tags": ["a", "b"]}
    assert session_of(connection) is held
    put(connection, {})
    assert held == {}


@pytest.mark.parametrize("data", REFUSED)
def test_what_cannot_be_read_does_not_come_into_a_dict_though_it_is_empty(
    connection: Connection, data: bytes
) -> None:
    held = session_of(connection)
    for change in (put, lambda *those: merge(*those, whole_lists=False)):
        with pytest.raises(SerializedError):
            change(connection, data)
    assert session_of(connection) is held
    assert held == {}


def test_serialized_data_becomes_a_dict_when_python_looks_and_stays_one(
    connection: Connection,
) -> None:
    put(connection, SET)
    assert copy_of(connection) == {"name": "Ann", "n": 1}
    assert connection.session == SET
    held = session_of(connection)
    held["n"] = 7
    assert serialized(connection) == SET.replace(b"i:1;", b"i:7;")


def test_a_copy_shares_nothing_with_the_session(connection: Connection) -> None:
    put(connection, {"deep": {"list": [1]}})
    copy_of(connection)["deep"]["list"].append(2)
    assert session_of(connection) == {"deep": {"list": [1]}}


def test_what_was_put_is_not_shared_with_who_has_put_it(connection: Connection) -> None:
    given: Session = {"deep": {"list": [1]}}
    put(connection, given)
    given["deep"]["list"].append(2)
    merge(connection, {"more": given}, whole_lists=False)
    given["deep"]["list"].append(3)
    assert session_of(connection) == {"deep": {"list": [1]}, "more": {"deep": {"list": [1, 2]}}}


def test_what_has_no_copy_is_not_copied(connection: Connection) -> None:
    held = session_of(connection)
    held["lock"] = threading.Lock()
    assert copy_of(connection) == held
    assert copy_of(connection) is not held


def test_what_php_lacks_is_said_when_a_wire_asks(connection: Connection) -> None:
    session_of(connection)["at"] = object()
    with pytest.raises(SerializedError, match="object"):
        serialized(connection)


def test_changes_of_python_go_into_serialized_data_list_by_list(connection: Connection) -> None:
    put(connection, b'a:2:{s:1:"l";a:2:{i:0;i:1;i:1;i:2;}s:1:"d";a:1:{s:1:"x";i:1;}}')
    merge(connection, {"l": [3], "d": {"y": 2}}, whole_lists=False)
    assert isinstance(connection.session, bytes)
    assert copy_of(connection) == {"l": [3], "d": {"x": 1, "y": 2}}


# --- merged as PHP does -------------------------------------------------------------------------

MERGED: list[tuple[Any, Any]] = [
    ({"name": "Ann", "n": 1}, {"n": 2, "deep": {"x": True, "y": None, "z": 1.5}}),
    ({"deep": {"x": 1, "y": {"a": 1, "b": 2}}}, {"deep": {"y": {"b": 3, "c": 4}}}),
    ({"list": [1, 2, 3]}, {"list": [4]}),
    ({"list": [1, 2, 3]}, {"list": []}),
    ({"list": [1, [2, 3]]}, {"list": [1, [4]]}),
    ({"d": {"a": 1}}, {"d": []}),
    ({"d": []}, {"d": {"a": 1}}),
    ({"d": {"a": 1}}, {"d": "text"}),
    ({"d": "text"}, {"d": {"a": 1}}),
    ({"d": {"a": 1}}, {"d": None}),
    ([1, 2, 3], [4]),
    ({"7": "a", "x": 1}, {7: "b"}),
    ({"b": 1, "a": 2}, {"a": 3, "c": 4, "b": 5}),
    ({b"\xff": b"\xfe"}, {b"\xff": b"\xfd", "e": "ë"}),
    ({"f": 0.1}, {"f": 1e25, "g": 1e5, "h": -0.0, "i": float("inf"), "j": 1 / 3}),
    ({"n": 1}, {}),
]
REPLACE = """
while ($line = fgets(STDIN)) {
    [$old, $new] = array_map(fn($data) => unserialize(base64_decode($data)), explode(' ', $line));
    echo base64_encode(serialize(array_replace_recursive($old, $new))), "\\n";
}
"""


def any_array(random: Random, depth: int = 3) -> dict[Any, Any]:
    return {
        random.choice(["a", "b", "c", 0, 1, 2, "é"]): (
            any_array(random, depth - 1)
            if depth and random.random() < 0.6
            else random.choice([1, None, True, "x", 0.5, ""])
        )
        for _ in range(random.randrange(4))
    }


def replaced_by_php(pairs: list[tuple[bytes, bytes]]) -> list[bytes]:
    lines = [b" ".join(map(base64.b64encode, pair)) + b"\n" for pair in pairs]
    ran = subprocess.run(
        ["php", "-d", "display_errors=stderr", "-d", "serialize_precision=-1", "-r", REPLACE],
        input=b"".join(lines),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ran.stderr == b""
    return [base64.b64decode(line) for line in ran.stdout.splitlines()]


def test_serialized_changes_are_merged_as_phps_array_replace_recursive_does(
    connection: Connection,
) -> None:
    random = Random(4)
    arrays = [(any_array(random), any_array(random)) for _ in range(300)]
    pairs = [(dumps(old), dumps(new)) for old, new in MERGED + arrays if old]
    expected = replaced_by_php(pairs)
    assert len(expected) == len(pairs)
    for (old, new), by_php in zip(pairs, expected, strict=True):
        connection.session = old
        assert merged(connection, new) == by_php, (old, new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"list": [1, 2]}, {"list": [3]}, {"list": [3]}),
        ({"list": [1, 2]}, {"list": []}, {"list": []}),
        ({"list": {"a": 1}}, {"list": [3]}, {"list": [3]}),
        ({"d": {"a": {"b": [1, 2], "c": 1}}}, {"d": {"a": {"b": [3]}}}, None),
        ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}),
        ({"0": 1, "1": 2}, {"0": 3}, {"0": 3, "1": 2}),
        ({"0": 1, "1": 2}, {}, {"0": 1, "1": 2}),
    ],
)
def test_whole_lists_replace_what_is_there_but_the_session_itself_is_none(
    connection: Connection, old: Session, new: Session, expected: Session | None
) -> None:
    expected = expected or {"d": {"a": {"b": [3], "c": 1}}}
    put(connection, dumps(old))
    merge(connection, dumps(new), whole_lists=True)
    assert copy_of(connection) == expected
    put(connection, dumps(old))
    session_of(connection)
    merge(connection, new, whole_lists=False)
    assert copy_of(connection) == expected
