"""Messages are encoded once, and close reasons are what the fault table says."""

import pytest

from pushline import messages
from pushline.messages import Close, Frames, Message

CLOSES = {name: each for name, each in vars(messages).items() if isinstance(each, Close)}


class Counting:
    """A way to encode, and how often it was asked."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.calls = 0

    def __call__(self, message: Message) -> bytes:
        self.calls += 1
        return self.prefix + message.data


# --- messages -----------------------------------------------------------------------------------


def test_a_message_is_text_unless_it_says_otherwise() -> None:
    assert not Message(b"data").binary
    assert Message(b"data", binary=True).binary


def test_it_is_encoded_once_and_all_get_the_same_bytes_object() -> None:
    encode = Counting(b">")
    frames = Frames(Message(b"data"))
    got = [frames[encode] for _ in range(3)]
    assert got == [b">data"] * 3
    assert len({id(frame) for frame in got}) == 1
    assert encode.calls == 1


def test_it_is_encoded_once_for_each_way_whatever_their_order() -> None:
    frames, ways = Frames(Message(b"data")), [Counting(b"1"), Counting(b"2"), Counting(b"3")]
    for order in (ways, ways[::-1], ways):
        assert [frames[way] for way in order] == [way.prefix + b"data" for way in order]
    assert [way.calls for way in ways] == [1, 1, 1]


def test_a_frame_that_is_empty_was_encoded_all_the_same() -> None:
    frames, encode = Frames(Message(b"")), Counting(b"")
    assert frames[encode] == frames[encode] == b""
    assert encode.calls == 1


def test_a_message_never_changes() -> None:
    with pytest.raises(AttributeError):
        Message(b"data").data = b"other"  # type: ignore[misc]


def test_two_messages_of_the_same_data_are_not_the_same() -> None:
    assert Message(b"data") != Message(b"data")


# --- closes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("SHUTDOWN", 3001, "shutdown"),
        ("SLOW", 3008, "slow"),
        ("NO_PONG", 3012, "no pong"),
        ("INVALID_TOKEN", 3500, "invalid token"),
        ("BAD_REQUEST", 3501, "bad request"),
        ("NO_LOGIN", 3502, "no login in time"),
        ("KICKED", 3503, "kicked"),
        ("REPLACED", 3503, "replaced"),
        ("LIMIT", 3504, "limit"),
        ("PROTOCOL_ERROR", 1002, "protocol error"),
        ("INVALID_DATA", 1007, "UTF-8"),
        ("TOO_BIG", 1009, "too big"),
    ],
)
def test_each_reason_has_its_code(name: str, code: int, reason: str) -> None:
    assert CLOSES[name].code == code
    assert reason in CLOSES[name].reason


def test_only_reasons_that_mean_the_same_to_a_client_share_a_code() -> None:
    names: dict[int, set[str]] = {}
    for name, close in CLOSES.items():
        names.setdefault(close.code, set()).add(name)
    assert [shared for _, shared in sorted(names.items()) if len(shared) > 1] == [
        {"ABNORMAL", "GATEWAY_LOST"},
        {"INTERNAL_ERROR", "UNDECIDED", "NO_WORKER"},
        {"KICKED", "REPLACED"},
    ]


@pytest.mark.parametrize("close", CLOSES.values(), ids=CLOSES)
def test_a_reason_is_under_120_bytes(close: Close) -> None:
    assert len(close.reason.encode()) < 120
