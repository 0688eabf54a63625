"""The rule by which events and this worker's own changes make one session of a client."""

from collections.abc import Callable

import pytest

from pushline.codecs.php_serialize import dumps
from pushline.errors import AppError, SerializedError
from pushline.worker.remote_session import MOST_UNSEEN, RemoteSession

NEVER_SET = b""
ANN, BOB, CAT = (dumps({"name": name}) for name in ("Ann", "Bob", "Cat"))


def changed(session: RemoteSession, **values: object) -> bytes | None:
    """What goes to the gateway after a handler that sets these."""
    session.value().update(values)
    return session.changed()


# --- what the application sees ------------------------------------------------------------------


def test_one_that_was_never_set_is_empty() -> None:
    assert RemoteSession(NEVER_SET).value() == {}


def test_it_is_what_the_event_brought() -> None:
    assert RemoteSession(dumps({"a": [1, {"b": None}], "7": 1.5})).value() == {
        "a": [1, {"b": None}],
        "7": 1.5,
    }


def test_it_is_one_object_as_long_as_nobody_else_changes_it() -> None:
    session = RemoteSession(ANN)
    held = session.value()
    held["age"] = 5
    session.changed()
    session.seen(ANN)
    assert session.value() is held


@pytest.mark.parametrize("serialized", [b'O:3:"Foo":0:{}', b"a:1:{", b"i:5;"])
def test_what_cannot_be_read_is_an_error_and_is_never_overwritten(serialized: bytes) -> None:
    session = RemoteSession(serialized)
    with pytest.raises(AppError, match=r"gateway\.set_session"):
        session.value()
    assert session.changed() is None
    session.seen(ANN)
    assert session.value() == {"name": "Ann"}


# --- what goes back -----------------------------------------------------------------------------


def test_what_was_changed_goes_back_once_and_whole() -> None:
    session = RemoteSession(ANN)
    assert changed(session, hits=1) == dumps({"name": "Ann", "hits": 1})
    assert session.changed() is None
    assert changed(session) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session["list"].append(2),
        lambda session: session["deep"]["er"].update(x=1),
        lambda session: session.pop("list"),
    ],
)
def test_a_change_deep_inside_goes_back(change: Callable[[dict[str, object]], object]) -> None:
    session = RemoteSession(dumps({"list": [1], "deep": {"er": {"y": 0}}}))
    value = session.value()
    change(value)
    assert session.changed() == dumps(value)


@pytest.mark.parametrize(
    "serialized",
    [
        b'a:1:{s:1:"f";d:0.10000000000000001;}',  # as PHP wrote floats until 7.1
        b"a:2:{i:0;i:1;i:1;i:2;}",
        b'a:1:{s:1:"a";a:0:{}}',
        NEVER_SET,
    ],
)
def test_what_was_only_read_does_not_go_back(serialized: bytes) -> None:
    session = RemoteSession(serialized)
    session.value()
    assert session.changed() is None


def test_what_was_not_asked_for_does_not_go_back() -> None:
    session = RemoteSession(ANN)
    session.seen(BOB)
    assert session.changed() is None


def test_what_was_changed_and_changed_back_does_not_go_back() -> None:
    session = RemoteSession(ANN)
    session.value()["name"] = "Bob"
    session.value()["name"] = "Ann"
    assert session.changed() is None


def test_what_php_cannot_have_is_refused_and_the_next_good_one_goes() -> None:
    session = RemoteSession(ANN)
    with pytest.raises(SerializedError):
        changed(session, lock=object())
    assert changed(session, lock=None) == dumps({"name": "Ann", "lock": None})


# --- the rule -----------------------------------------------------------------------------------


def test_events_that_were_under_way_do_not_undo_what_was_set_since() -> None:
    session = RemoteSession(NEVER_SET)
    assert changed(session, name="Ann") == ANN
    session.seen(NEVER_SET)
    assert session.value() == {"name": "Ann"}
    assert changed(session, name="Bob") == BOB
    session.seen(NEVER_SET)
    session.seen(ANN)
    assert session.value() == {"name": "Bob"}
    session.seen(BOB)
    assert session.value() == {"name": "Bob"}


def test_what_others_have_set_replaces_ours() -> None:
    session = RemoteSession(ANN)
    changed(session, hits=1)
    session.seen(BOB)
    assert session.value() == {"name": "Bob"}
    assert session.changed() is None


def test_who_has_set_last_is_right_whatever_the_order() -> None:
    """Others have set Bob before our Cat came: Bob is seen first, then ours comes back."""
    session = RemoteSession(ANN)
    assert changed(session, name="Cat") == CAT
    session.seen(BOB)
    assert session.value() == {"name": "Bob"}
    session.seen(CAT)
    assert session.value() == {"name": "Cat"}


def test_what_came_back_counts_as_received() -> None:
    """From then on the one before it can only come from others."""
    session = RemoteSession(ANN)
    changed(session, name="Bob")
    session.seen(BOB)
    session.seen(ANN)
    assert session.value() == {"name": "Ann"}


def test_of_several_that_were_set_one_may_come_back_without_those_before_it() -> None:
    session = RemoteSession(NEVER_SET)
    for name in ("Ann", "Bob", "Cat"):
        changed(session, name=name)
    session.seen(BOB)
    assert session.value() == {"name": "Cat"}
    session.seen(CAT)
    assert session.value() == {"name": "Cat"}
    session.seen(ANN)  # long since taken back: others have set it
    assert session.value() == {"name": "Ann"}


def test_a_change_by_others_while_a_handler_holds_the_old_one_is_overwritten_only_if_asked() -> (
    None
):
    session = RemoteSession(ANN)
    held = session.value()
    session.changed()
    session.seen(BOB)
    held["name"] = "Cat"  # the old object: nobody's any more
    assert session.changed() is None
    assert session.value() == {"name": "Bob"}


def test_what_is_kept_of_those_that_never_come_back_is_bounded() -> None:
    session = RemoteSession(NEVER_SET)
    for hits in range(MOST_UNSEEN + 10):
        changed(session, hits=hits)
    session.seen(dumps({"hits": 0}))  # forgotten, so it counts as others'
    assert session.value() == {"hits": 0}
