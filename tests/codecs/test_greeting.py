import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushline.codecs.greeting import LONGEST, OK, Greeting
from pushline.errors import BadLineError

SECRET = "s3 cret"
RIGHT = b"auth s3 cret\n"


def greet(*chunks: bytes, secret: str = SECRET, required: bool = True) -> tuple[bytes, bytes]:
    """The answer, and everything behind the greeting; raises BadLineError."""
    greeting = Greeting(secret, required=required)
    for index, chunk in enumerate(chunks):
        if (greeted := greeting.feed(chunk)) is not None:
            answer, rest = greeted
            return answer, rest + b"".join(chunks[index + 1 :])
    raise AssertionError("it still waits")


def single(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (RIGHT, b""),
        (b"auth s3 cret\r\n", b""),
        (RIGHT + b'{"uid":"a"}\n', b'{"uid":"a"}\n'),
        (RIGHT + RIGHT + b"\xff", RIGHT + b"\xff"),
    ],
)
def test_the_right_secret_is_answered_ok(data: bytes, rest: bytes, required: bool) -> None:
    assert greet(data, required=required) == (OK, rest)
    assert greet(*single(data), required=required) == (OK, rest)


@pytest.mark.parametrize("secret", ["x", "Zoë 😀", "😀" * 512])
def test_a_secret_is_compared_as_utf8(secret: str) -> None:
    data = f"auth {secret}\r\n".encode()
    assert greet(data, secret=secret) == greet(*single(data), secret=secret) == (OK, b"")


WRONG = [
    b"auth wrong\n",
    b"auth s3 cret \n",
    b"auth  s3 cret\n",
    b"auth s3 cre\n",
    b"auth s3 crett\n",
    b"auth s3 cret\r\r\n",
    b"auth \xff\n",
    b"auth \n",
    b"auth " + b"x" * LONGEST,
    b"auth " + b"x" * LONGEST + b"\n" + RIGHT,
]
NONE = [
    b"\n",
    b"auth\n",
    b"Auth s3 cret\n",
    b" auth s3 cret\n",
    b'{"uid":"a"}\n' + RIGHT,
    b"POST / HTTP/1.1\r\n",
    b"x" * (LONGEST + 1),
]


@pytest.mark.parametrize("data", WRONG)
@pytest.mark.parametrize("required", [True, False])
def test_a_wrong_secret_is_refused_of_every_peer(data: bytes, required: bool) -> None:
    for chunks in ([data], single(data)):
        with pytest.raises(BadLineError) as error:
            greet(*chunks, required=required)
        assert error.value.kind == "auth"
        assert "s3" not in str(error.value)


@pytest.mark.parametrize("data", NONE)
def test_a_peer_that_has_to_greet_and_says_something_else_is_refused(data: bytes) -> None:
    for chunks in ([data], single(data)):
        with pytest.raises(BadLineError, match="a wrong secret, or none"):
            greet(*chunks)


@pytest.mark.parametrize("data", [*NONE, b"a {", b"{", b"autH"])
def test_a_trusted_peer_need_not_greet(data: bytes) -> None:
    assert greet(data, required=False) == (b"", data)
    assert greet(*single(data), required=False) == (b"", data)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("data", [b"", b"a", b"auth ", b"auth s3 cret", b"auth s3 cret\r"])
def test_a_greeting_that_is_not_whole_is_waited_for(data: bytes, required: bool) -> None:
    assert Greeting(SECRET, required=required).feed(data) is None


def test_no_more_than_the_longest_greeting_is_waited_for() -> None:
    greeting = Greeting(SECRET, required=True)
    assert greeting.feed(b"x" * LONGEST) is None
    with pytest.raises(BadLineError):
        greeting.feed(b"x")


@given(
    st.lists(st.sampled_from([RIGHT, b"auth ", b"au", b"s3 cret", b"\r\n", b"\n", b"{}", b"\xff"])),
    st.booleans(),
    st.data(),
)
def test_the_outcome_is_the_same_however_the_bytes_are_cut(
    pieces: list[bytes], required: bool, draw: st.DataObject
) -> None:
    data = b"".join(pieces)
    cut = draw.draw(st.integers(0, len(data)))
    chunks = [data[:cut], data[cut:]]
    whole = outcome([data], required)
    assert outcome(chunks, required) == outcome(single(data), required) == whole


def outcome(chunks: list[bytes], required: bool) -> object:
    try:
        return greet(*chunks, required=required)
    except (BadLineError, AssertionError) as error:
        return str(error)
