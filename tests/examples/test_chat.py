"""The chat's messages, as the real server speaks them."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import count

import pytest

from tests.examples.people import CHAT, Message, Person
from tests.server import Server

HTML = """<b>"A"&'</b>"""
ESCAPED = "&lt;b&gt;&quot;A&quot;&amp;&#x27;&lt;/b&gt;"
NOBODY = "0" * 20

rooms = (f"room {number}" for number in count())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server("chat:app", cwd=str(CHAT), AUTH_MODE="app") as server:
        yield server


@pytest.fixture
def room() -> str:
    """One that nobody has been in."""
    return next(rooms)


def without_time(message: Message) -> Message:
    """The message, whose time is the local one of a moment ago."""
    moment = datetime.strptime(message.pop("time"), "%Y-%m-%d %H:%M:%S")
    assert timedelta() <= datetime.now() - moment < timedelta(seconds=20)
    return message


def until_logged(server: Server, words: str, again: Callable[[], None] = lambda: None) -> None:
    """Wait for a line of the log with these words; of one kind it has only ten a second."""
    deadline = time.monotonic() + 10
    while not any(words in line for line in list(server.log)):
        assert time.monotonic() < deadline, f"{words!r} is not in {server.log}"
        again()
        time.sleep(0.02)


# --- coming and leaving -----------------------------------------------------------------------


def test_a_newcomer_gets_who_is_here_and_the_others_get_the_newcomer(
    server: Server, room: str
) -> None:
    with Person(server.websocket, "Ana", room) as ana, Person(server.websocket) as tom:
        answer = without_time(tom.login("Tom", room))
        came: Message = {"type": "login", "client_id": tom.id, "client_name": "Tom"}
        assert answer == {**came, "client_list": {ana.id: "Ana", tom.id: "Tom"}}
        assert without_time(ana.next()) == came


def test_a_room_id_is_the_same_as_a_number_and_as_text(server: Server) -> None:
    with Person(server.websocket, "Ana", 1), Person(server.websocket, "Tom", "1") as tom:
        assert sorted(tom.here.values()) == ["Ana", "Tom"]


def test_who_goes_is_announced(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana, Person(server.websocket, "Tom", room) as tom:
        ana.next()
        tom.leave()
        gone = without_time(ana.next())
    assert gone == {"type": "logout", "from_client_id": tom.id, "from_client_name": "Tom"}


def test_a_second_login_leaves_the_first_room(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana, Person(server.websocket, "Tom", room) as tom:
        ana.next()
        answer = tom.login("Tommy", next(rooms))
        assert answer["client_list"] == {tom.id: "Tommy"}
        gone = {"type": "logout", "from_client_id": tom.id, "from_client_name": "Tom"}
        assert without_time(ana.next()) == gone
        tom.say("in the other room")
        ana.say("in the first room")
        assert ana.next()["content"] == "in the first room"
        assert tom.next()["content"] == "in the other room"


def test_a_second_login_may_change_the_name_alone(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana, Person(server.websocket, "Tom", room) as tom:
        ana.next()
        assert tom.login("Tommy", room)["client_list"] == {ana.id: "Ana", tom.id: "Tommy"}
        assert [ana.next()["type"], ana.next()["client_name"]] == ["logout", "Tommy"]


def test_a_login_that_is_refused_leaves_everything_as_it_was(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana:
        ana.put(type="login", client_name="Ana", room_id="x" * 51)
        assert ana.next()["type"] == "error"
        ana.say("still here")
        assert ana.next()["content"] == "still here"


def test_a_long_name_is_cut_and_an_empty_one_is_a_guest(server: Server, room: str) -> None:
    with Person(server.websocket, "&" * 31, room) as ana, Person(server.websocket) as tom:
        assert ana.here == {ana.id: "&amp;" * 30}
        for name in (" \n ", "\u200b", "\0", "\u202e \u2066"):
            assert tom.login(name, room)["client_name"] == "guest"
        assert tom.login("A\nda\u202e", room)["client_name"] == "A da"


# --- what is said -----------------------------------------------------------------------------


def test_what_is_said_to_all_reaches_everyone_in_the_room_and_nobody_else(
    server: Server, room: str
) -> None:
    with (
        Person(server.websocket, "Ana", room) as ana,
        Person(server.websocket, "Tom", room) as tom,
        Person(server.websocket, "Leo", next(rooms)) as leo,
    ):
        ana.next()
        tom.say("hello 🌻 你好")
        said = {
            "type": "say",
            "from_client_id": tom.id,
            "from_client_name": "Tom",
            "to_client_id": "all",
            "content": "hello 🌻 你好",
        }
        assert without_time(ana.next()) == said
        assert without_time(tom.next()) == said
        leo.say("alone")
        assert leo.next()["content"] == "alone"


def test_a_private_message_reaches_both_ends_alone(server: Server, room: str) -> None:
    with (
        Person(server.websocket, "Ana", room) as ana,
        Person(server.websocket, HTML, room) as tom,
        Person(server.websocket, "Leo", room) as leo,
    ):
        for _ in range(2):
            ana.next()
        ana.say("for <you>\nalone", to=tom.id)
        said = {
            "type": "say",
            "from_client_id": ana.id,
            "from_client_name": "Ana",
            "to_client_id": tom.id,
        }
        content = "for &lt;you&gt;<br />\nalone"
        own = {**said, "content": f"<b>你对{ESCAPED}说: </b>{content}"}
        assert without_time(ana.next()) == own
        assert tom.next()["client_name"] == "Leo"
        assert without_time(tom.next()) == {**said, "content": f"<b>对你说: </b>{content}"}
        ana.say("for all")
        assert leo.next()["content"] == "for all"


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a\nb", "a<br />\nb"),
        ("a\r\nb", "a<br />\r\nb"),
        ("a\rb", "a<br />\rb"),
        ("\n\n", "<br />\n<br />\n"),
        (HTML, ESCAPED),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_the_content_is_escaped_once_and_its_lines_broken(
    server: Server, room: str, text: str, content: str
) -> None:
    with Person(server.websocket, "Ana", room) as ana:
        ana.say(text)
        assert ana.next()["content"] == content


def test_a_name_is_escaped_once_wherever_it_stands(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana, Person(server.websocket) as tom:
        answer = tom.login(HTML, room)
        assert answer["client_name"] == answer["client_list"][tom.id] == ESCAPED
        tom.say("hello")
        tom.leave()
        assert ana.next()["client_name"] == ESCAPED
        assert [ana.next()["from_client_name"] for _ in ("say", "logout")] == [ESCAPED] * 2


def test_a_long_text_is_refused_with_words_for_the_page(server: Server, room: str) -> None:
    with Person(server.websocket, "Ana", room) as ana:
        ana.say("x" * 4000)
        assert ana.next()["content"] == "x" * 4000
        ana.say("x" * 4001)
        why = "A message has at most 4,000 characters, this one has 4,001."
        assert ana.next() == {"type": "error", "content": why}


# --- what makes no sense ----------------------------------------------------------------------


def test_what_is_said_before_a_login_is_logged_and_the_connection_kept(
    server: Server, room: str
) -> None:
    with Person(server.websocket) as ana:
        ana.say("anybody here?")
        ana.say("psst", to=NOBODY)
        assert ana.login("Ana", room)["type"] == "login"
        until_logged(server, f"ignored a message of {ana.id}: it came before a login")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"type":"login"', "Input data was truncated"),
        ("[" * 50_000, "Expected `object`"),
        ('{"type":"pong","x":' + "[" * 50_000, "maximum recursion depth"),
        ("", "Input data was truncated"),
        ("[]", "Expected `object`"),
        ('{"type":"shout"}', "Invalid value 'shout'"),
        ('{"type":["login"]}', "Expected `str`"),
        ('{"type":"login","client_name":"Ana"}', "Object missing required field `room_id`"),
        ('{"type":"login","client_name":"Ana","room_id":null}', "Expected `int | str`"),
        ('{"type":"say","to_client_id":"all","content":"\\ud800"}', "Input data was truncated"),
        ('{"type":"login","client_name":"Ana","room_id":""}', "it names no room"),
    ],
)
def test_a_message_that_makes_no_sense_is_logged_and_the_connection_kept(
    server: Server, room: str, text: str, why: str
) -> None:
    with Person(server.websocket, "Ana", room) as ana:
        until_logged(server, f"ignored a message of {ana.id}: {why}", lambda: ana.put_text(text))
        ana.say("still here")
        assert ana.next()["content"] == "still here"


def test_nobody_outside_the_room_can_be_told_anything(server: Server, room: str) -> None:
    with (
        Person(server.websocket, "Ana", room) as ana,
        Person(server.websocket, "Tom", next(rooms)) as tom,
    ):
        reasons = {
            tom.id: f"{tom.id} is not in the same room",
            NOBODY: f"{NOBODY} is not in the same room",
            "all of them": "a client_id is 20 hexadecimal digits",
        }
        for target, why in reasons.items():
            psst = {"type": "say", "to_client_id": target, "content": "psst"}
            until_logged(server, f"{ana.id}: {why}", partial(ana.put, **psst))
        ana.say("aloud")
        assert ana.next()["content"] == "aloud"
        tom.say("nothing came")
        assert tom.next()["content"] == "nothing came"


# --- who is still there -----------------------------------------------------------------------


def test_who_was_silent_is_pinged_and_who_spoke_is_not(server: Server, room: str) -> None:
    with Person(server.websocket) as silent, Person(server.websocket, "Ana", room) as ana:
        assert silent.next_of_any() == {"type": "ping"}
        ana.put(type="pong")
        began = time.monotonic()
        assert silent.next_of_any() == {"type": "ping"}
        assert 9 < time.monotonic() - began < 11
        ana.say("was I pinged?")
        assert ana.next_of_any()["type"] == "say"


# --- the page ---------------------------------------------------------------------------------


def test_the_page_is_served_and_the_code_is_not(server: Server) -> None:
    with urllib.request.urlopen(f"http://{server.websocket}/?room_id=1") as answer:
        page = answer.read().decode()
    assert page == (CHAT / "page" / "index.html").read_text()
    for path in ("chat.py", "../chat.py", "%2e%2e/chat.py"):
        with pytest.raises(urllib.error.HTTPError, match=r"40[04]"):
            urllib.request.urlopen(f"http://{server.websocket}/{path}")


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in (CHAT / "page").iterdir():
        assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", file.read_text()) == []
