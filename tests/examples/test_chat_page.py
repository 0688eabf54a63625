"""The chat's page in real Chromium, as the real server serves it."""

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from urllib.parse import quote

import pytest
from selenium.webdriver.common.keys import Keys

from tests.examples.people import CHAT, Person
from tests.web.chromium import Tab, until
from tests.web.servers import Pushline

ATTACK = "<img src=x onerror=alert(1)>"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

rooms = (f"room {number}" for number in count())


@pytest.fixture(scope="module")
def server() -> Iterator[Pushline]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(CHAT)  # for as long: it is started again, too
        with Pushline("chat:app") as server:
            yield server


@pytest.fixture
def room() -> str:
    return next(rooms)


@pytest.fixture
def pictures() -> Iterator[str]:
    """The address of a server that answers everything with a picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PIXEL)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - theirs
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def enter(tab: Tab, server: Pushline, room: str, name: str) -> Tab:
    """Come into the room as someone whom this browser does not remember."""
    tab.focus()
    tab.open(f"{server.page}chat.css")
    tab.run("localStorage.clear()")
    tab.open(f"{server.page}?room_id={quote(room)}")
    tab.element("name").send_keys(name + Keys.ENTER)
    joined(tab)
    return tab


def joined(tab: Tab) -> None:
    tab.until("document.documentElement.dataset.state === 'joined'")


def say(tab: Tab, text: str) -> None:
    tab.focus()
    tab.element("input").send_keys(text + Keys.ENTER)


def bubbles(tab: Tab) -> list[str]:
    """The texts of the messages, as they are seen."""
    tab.focus()
    script = "return [...document.querySelectorAll('.bubble')].map((bubble) => bubble.innerText)"
    return list(tab.run(script))


def shows(tab: Tab, *texts: str) -> None:
    until(lambda: bubbles(tab) == list(texts), f"{texts}")


def people(tab: Tab) -> list[str]:
    tab.focus()
    script = (
        "return [...document.querySelectorAll('.person .name')].map((name) => name.textContent)"
    )
    return list(tab.run(script))


def choose(tab: Tab, name: str) -> None:
    """Write to that person alone."""
    tab.focus()
    found = tab.driver.find_elements("css selector", ".person")
    next(person for person in found if person.text.endswith(name)).click()


def notices(tab: Tab) -> list[str]:
    tab.focus()
    script = "return [...document.querySelectorAll('.notice')].map((it) => it.firstChild.data)"
    return list(tab.run(script))


@pytest.fixture
def ana(tab: Tab, server: Pushline, room: str) -> Tab:
    return enter(tab, server, room, "Ana")


@pytest.fixture
def tom(ana: Tab, server: Pushline, room: str) -> Tab:
    return enter(ana.another(), server, room, "Tom")


# --- two people -------------------------------------------------------------------------------


def test_two_pages_chat(ana: Tab, tom: Tab) -> None:
    say(ana, "hello")
    say(tom, "hello Ana")
    for tab in (ana, tom):
        shows(tab, "hello", "hello Ana")
    own = "return [...document.querySelectorAll('.own .bubble')].map((bubble) => bubble.innerText)"
    assert tom.run(own) == ["hello Ana"]
    assert tom.element("input").get_property("value") == ""


def test_both_see_who_is_here_who_comes_and_who_leaves(ana: Tab, tom: Tab) -> None:
    assert people(tom) == ["Tom", "Ana"]
    until(lambda: people(ana) == ["Ana", "Tom"])
    tom.focus()
    tom.open("about:blank")
    until(lambda: people(ana) == ["Ana"])
    assert notices(ana) == ["You are here as Ana", "Tom joined", "Tom left"]


def test_a_private_message_is_seen_by_two_and_marked(
    ana: Tab, tom: Tab, server: Pushline, room: str
) -> None:
    with Person(server.websocket, "Leo", room) as leo:
        until(lambda: people(ana) == ["Ana", "Leo", "Tom"])
        choose(ana, "Tom")
        say(ana, "just you")
        shows(ana, "just you")
        shows(tom, "just you")
        mark = "document.querySelector('.private .whom').textContent"
        assert tom.run(f"return {mark}") == "to you only"
        ana.focus()
        assert ana.run(f"return {mark}") == "to Tom only"
        ana.element("target-off").click()
        say(ana, "everyone")
        assert leo.next()["content"] == "everyone"


def test_what_was_meant_for_one_who_left_goes_to_nobody(ana: Tab, tom: Tab) -> None:
    until(lambda: people(ana) == ["Ana", "Tom"])
    choose(ana, "Tom")
    tom.focus()
    tom.open("about:blank")
    ana.focus()
    ana.until("document.getElementById('target-text').textContent === 'Tom has left'")
    say(ana, "a secret")
    assert ana.element("input").get_property("value") == "a secret"
    ana.element("target-off").click()
    say(ana, " for all")
    shows(ana, "a secret for all")


def test_shift_enter_begins_a_line_and_the_emoji_picker_adds_one(ana: Tab, tom: Tab) -> None:
    ana.focus()
    ana.element("input").send_keys("one", Keys.SHIFT, Keys.ENTER, Keys.NULL, "  two ")
    ana.element("emoji-button").click()
    ana.driver.find_element("xpath", "//*[@id='emoji']/button[text()='🎉']").click()
    say(ana, "")
    shows(tom, "one\n  two 🎉")
    assert not ana.element("emoji").is_displayed()


def test_the_title_counts_what_was_not_seen(ana: Tab, tom: Tab, room: str) -> None:
    tom.focus()
    say(tom, "one")
    say(tom, "two")
    until(lambda: title(ana) == f"(2) Room {room}", "two unseen messages")
    ana.focus()
    ana.until(f"document.title === 'Room {room}'")


def title(tab: Tab) -> str:
    """Without looking at the page."""
    titles = {
        target["targetId"]: target["title"]
        for target in tab.driver.execute_cdp_cmd("Target.getTargets", {})["targetInfos"]
    }
    return str(titles[tab.handle])


# --- what cannot be injected ------------------------------------------------------------------


def test_markup_is_shown_as_text_wherever_it_comes_from(
    ana: Tab, server: Pushline, room: str
) -> None:
    elements = "document.querySelectorAll('#log *, #people *').length"
    say(ana, "plain")
    shows(ana, "plain")
    with Person(server.websocket, ATTACK, room) as mallory:
        until(lambda: people(ana) == ["Ana", ATTACK])
        before = ana.run(f"return {elements}")
        mallory.say("text")
        shows(ana, "plain", "text")
        usual = ana.run(f"return {elements}") - before
        for text in (
            ATTACK,
            "<script>alert(1)</script>",
            "</li><b>bold</b>",
            "javascript:alert(1)",
        ):
            mallory.say(text)
        shows(
            ana,
            "plain",
            "text",
            ATTACK,
            "<script>alert(1)</script>",
            "</li><b>bold</b>",
            "javascript:alert(1)",
        )
        assert ana.run(f"return {elements}") - before == 5 * usual
        choose(ana, ATTACK)
        assert ana.text("target-text") == f"To {ATTACK} only"
    until(lambda: notices(ana)[-1] == f"{ATTACK} left")
    assert (
        ana.driver.find_elements("css selector", "#log img, #log script, #log b, #people img") == []
    )


def test_a_page_that_inserts_what_comes_as_html_is_safe(
    ana: Tab, server: Pushline, room: str
) -> None:
    """As existing pages do."""
    ana.run(
        """
        window.board = document.createElement("div");
        const socket = new WebSocket(`ws://${location.host}`);
        const insert = (markup) => board.insertAdjacentHTML("beforeend", markup ?? "");
        socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            insert(`<p title="${message.from_client_name ?? message.client_name}">`);
            insert(message.from_client_name ?? message.client_name);
            insert(message.content);
            Object.values(message.client_list ?? {}).forEach(insert);
        };
        socket.onopen = () => socket.send(JSON.stringify(arguments[0]));
        """,
        {"type": "login", "client_name": ATTACK, "room_id": room},
    )
    until(lambda: ATTACK in people(ana))
    choose(ana, ATTACK)
    say(ana, f'{ATTACK}" onmouseover="alert(1)')
    ana.until("board.querySelector('b') !== null")
    names = ana.run("return [...board.querySelectorAll('*')].map((it) => it.localName)")
    assert set(names) == {"p", "b"}
    attributes = ana.run(
        "return [...board.querySelectorAll('p')].map((it) => it.attributes.length)"
    )
    assert set(attributes) == {1}
    assert f'对你说: {ATTACK}" onmouseover="alert(1)' in ana.run("return board.textContent")


# --- what is recognised -----------------------------------------------------------------------


def test_links_are_recognised_and_open_elsewhere(ana: Tab) -> None:
    say(ana, "see https://example.org/a?b=1&c=<2>, (http://example.org/d) and ftp://example.org")
    shows(ana, "see https://example.org/a?b=1&c=<2>, (http://example.org/d) and ftp://example.org")
    links = ana.driver.find_elements("css selector", ".bubble a")
    addresses = [link.get_dom_attribute("href") for link in links]
    assert addresses == ["https://example.org/a?b=1&c=", "http://example.org/d"]
    assert {link.get_dom_attribute("rel") for link in links} == {"noopener noreferrer"}
    assert {link.get_dom_attribute("target") for link in links} == {"_blank"}


def test_pictures_are_shown_and_stay_small(ana: Tab, pictures: str) -> None:
    say(ana, f"look: {pictures}/flower.png")
    ana.until("document.querySelector('.bubble img')?.naturalWidth === 1")
    picture = ana.driver.find_element("css selector", ".bubble a[rel='noopener noreferrer'] > img")
    assert picture.get_dom_attribute("loading") == "lazy"
    assert picture.value_of_css_property("max-height") == "240px"


def test_a_picture_that_is_none_stays_a_link(ana: Tab, server: Pushline) -> None:
    say(ana, f"{server.page}missing.png")
    ana.until("document.querySelector('.bubble a')?.textContent.endsWith('missing.png')")


def test_a_text_that_is_too_long_is_refused_in_words_and_given_back(ana: Tab) -> None:
    ana.run("document.getElementById('input').value = 'x'.repeat(4001)")
    say(ana, "")
    ana.until("document.querySelector('.error')?.textContent.includes('at most 4,000 characters')")
    assert ana.element("input").get_property("value") == "x" * 4001


# --- a name -----------------------------------------------------------------------------------


def test_the_name_is_remembered_and_can_be_changed(ana: Tab, tom: Tab) -> None:
    tom.driver.refresh()
    joined(tom)
    assert people(tom) == ["Tom", "Ana"]
    choose(tom, "you")
    tom.element("name").clear()
    tom.element("name").send_keys("Tommy" + Keys.ENTER)
    until(lambda: people(tom) == ["Tommy", "Ana"])
    until(lambda: people(ana) == ["Ana", "Tommy"])


# --- the connection ---------------------------------------------------------------------------


def test_a_restart_of_the_server_restores_the_room(ana: Tab, tom: Tab, server: Pushline) -> None:
    say(ana, "before")
    shows(tom, "before")
    server.stop()
    for tab in (ana, tom):
        tab.focus()
        tab.until(
            "document.getElementById('state').textContent === 'Connection lost, trying again'"
        )
    tom.element("input").send_keys("while it is away" + Keys.ENTER)
    assert tom.element("input").get_property("value") == "while it is away"
    server.start()
    for tab in (ana, tom):
        tab.focus()
        joined(tab)
    until(lambda: people(tom) == ["Tom", "Ana"])
    until(lambda: people(ana) == ["Ana", "Tom"])
    say(tom, "")
    shows(ana, "before", "while it is away")
    shows(tom, "before", "while it is away")


def test_whoever_goes_back_to_the_page_is_in_the_room_again(ana: Tab, tom: Tab) -> None:
    until(lambda: people(ana) == ["Ana", "Tom"])
    tom.focus()
    tom.open("about:blank")
    until(lambda: people(ana) == ["Ana"])
    tom.focus()
    tom.driver.back()
    joined(tom)
    until(lambda: people(ana) == ["Ana", "Tom"])


# --- how it looks -----------------------------------------------------------------------------


@pytest.fixture
def phone(ana: Tab) -> Iterator[Tab]:
    screen = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
    ana.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    yield ana
    ana.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_fits_a_phone(phone: Tab) -> None:
    say(phone, "a word " * 60 + "x" * 300)
    phone.until("document.querySelector('.bubble')")
    assert phone.run("return [innerWidth, document.documentElement.scrollWidth]") == [375, 375]
    for name in ("input", "send", "emoji-button", "people-button", "state"):
        box = phone.element(name).rect
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 375, name
        assert 0 <= box["y"] <= box["y"] + box["height"] <= 812, name


def test_on_a_phone_the_people_come_and_go_with_a_button(
    phone: Tab, server: Pushline, room: str
) -> None:
    with Person(server.websocket, "Tom", room):
        until(lambda: people(phone) == ["Ana", "Tom"])
        drawer = phone.element("drawer")
        until(lambda: not drawer.is_displayed())
        phone.element("people-button").click()
        until(lambda: drawer.is_displayed() and drawer.rect["x"] == 75)
        choose(phone, "Tom")
        until(lambda: not drawer.is_displayed())
        assert phone.text("target-text") == "To Tom only"
        for name in ("drawer-close", "backdrop"):
            phone.element("people-button").click()
            until(lambda: drawer.rect["x"] == 75)
            phone.run(f"document.getElementById('{name}').click()")
            until(lambda: not drawer.is_displayed())


def test_it_logs_no_error_and_loads_nothing_but_its_three_files(
    tab: Tab, server: Pushline, room: str
) -> None:
    tab.console()  # what was before
    enter(tab, server, room, "Ana")
    names = tab.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    loaded = {name.removeprefix(server.page) for name in names if not name.startswith("data:")}
    assert loaded == {"chat.css", "chat.js"}
    assert tab.console() == []
