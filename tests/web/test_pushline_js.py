"""pushline.js in real Chromium, against a peer that plays the server's part."""

import json
import socket
from importlib.resources import files
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from pushline.codecs import login
from tests.web.chromium import Tab
from tests.web.servers import Peer, said

SOURCE = files("pushline") / "web" / "pushline.js"

# Keeps `events`, and counts the timers that are set. `dice` and `clock` are the test's to turn.
PREPARE = """
window.events = [];
window.timers = new Set();
window.dice = 1;
window.clock = 0;
const { setTimeout, clearTimeout } = window;
window.setTimeout = (action, delay) => {
  const timer = setTimeout(() => { timers.delete(timer); action(); }, delay);
  timers.add(timer);
  return timer;
};
window.clearTimeout = (timer) => { timers.delete(timer); clearTimeout(timer); };
"""
START = """
window.push = new Pushline({ random: () => dice, now: () => clock, ...arguments[0], %s });
for (const name of ["message", "open", "close", "status"])
  push.on(name, (...values) => events.push([name, ...values]));
"""


class Page:
    """An empty page with one Pushline."""

    def __init__(self, tab: Tab, peer: Peer) -> None:
        self.tab = tab
        tab.open(f"http://{peer.address}/")
        tab.run(PREPARE)

    def start(self, script: str = "", /, **options: object) -> None:
        """A Pushline of `options`, and of what only a script can say."""
        self.tab.run(START % script, {"uid": "u", **options})

    def events(self, name: str) -> list[list[Any]]:
        return [values for event, *values in self.tab.run("return events") if event == name]

    def event(self, name: str, index: int = 0) -> Any:
        """What the handlers of the event were called with, once it has happened."""
        script = f"events.filter(([name]) => name === arguments[0])[{index}]"
        return self.tab.until(script, name)[1:]

    def closed(self, index: int = 0) -> Any:
        return self.event("close", index)[0]

    def status(self, status: str) -> None:
        self.tab.until("push.status === arguments[0]", status)

    def dispatch(self, event: str) -> None:
        self.tab.run("dispatchEvent(new Event(arguments[0]))", event)

    def timers(self) -> int:
        return int(self.tab.run("return timers.size"))

    def listeners(self) -> list[str]:
        """The events that the window is listened to for."""
        command = self.tab.driver.execute_cdp_cmd
        window = command("Runtime.evaluate", {"expression": "window"})["result"]["objectId"]
        found = command("DOMDebugger.getEventListeners", {"objectId": window})["listeners"]
        return sorted(listener["type"] for listener in found)


@pytest.fixture
def page(peer: Peer, tab: Tab) -> Page:  # in this order: the tab goes before its server does
    return Page(tab, peer)


def test_it_is_under_5000_bytes() -> None:
    assert len(SOURCE.read_bytes()) < 5000


# --- login ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"uid": "uid1"}, "uid1"),
        ({"uid": 42}, "42"),
        ({"uid": '"quoted"'}, '"quoted"'),
        ({"uid": "42", "utype": 1}, {"uid": "42", "utype": 1}),
        ({"uid": 42, "token": "t"}, {"uid": 42, "checkToken": "t"}),
        (
            {"uid": "42", "utype": 1, "token": "t"},
            {"uid": "42", "utype": 1, "checkToken": "t"},
        ),
        ({"uid": "42", "login": "hello"}, "hello"),
    ],
)
def test_the_first_message_is_the_login(
    page: Page, peer: Peer, options: dict[str, object], expected: object
) -> None:
    page.start(**options)
    _, first = peer.login()
    assert (first if isinstance(expected, str) else json.loads(first)) == expected


@pytest.mark.parametrize("uid", ['{"uid":"other"}', ' {"data":"heartbeat"}', "{", "[1]", "Zoë"])
def test_the_server_reads_the_uid_that_was_given(page: Page, peer: Peer, uid: str) -> None:
    page.start(uid=uid)
    _, first = peer.login()
    assert login.decode(first, bare=True) == login.Login(uid, "0", "")


def test_a_token_function_is_asked_for_each_connection(page: Page, peer: Peer) -> None:
    page.tab.run("window.asked = 0")
    page.start("token: async () => `token ${++asked}`", base=1)
    for number in (1, 2, 3):
        connection, first = peer.login()
        assert json.loads(first)["checkToken"] == f"token {number}"
        connection.close(3001)


def test_a_token_function_that_fails_is_asked_again_later(page: Page, peer: Peer) -> None:
    page.tab.run("window.asked = 0")
    token = "token: () => { if (!asked++) throw new Error('no back end'); return 'now'; }"
    page.start(token, base=1)
    assert page.closed() == {
        "code": 1006,
        "reason": "no login: Error: no back end",
        "willReconnect": True,
        "delay": 1,
    }
    peer.connection()
    assert json.loads(peer.login()[1])["checkToken"] == "now"


def test_a_token_that_comes_after_close_goes_nowhere(page: Page, peer: Peer) -> None:
    page.start("token: () => new Promise((resolve) => { window.answer = resolve; })")
    connection = peer.connection()
    page.tab.until("typeof answer === 'function'")
    page.tab.run("push.close(); answer('late')")
    assert list(connection) == []
    assert page.events("open") == []


def test_without_a_uid_there_is_a_type_error(page: Page) -> None:
    script = "try { new Pushline({ uid: undefined }); } catch (error) { return error.name; }"
    assert page.tab.run(script) == "TypeError"


def test_a_url_that_is_none_is_an_error_at_once_and_leaves_nothing(page: Page) -> None:
    script = "try { new Pushline({ uid: 1, url: 'ws://:' }); } catch (error) { return error.name; }"
    assert page.tab.run(script) == "SyntaxError"
    assert (page.timers(), page.listeners()) == (0, [])


def test_an_option_that_is_undefined_is_not_given(page: Page) -> None:
    silent = f"url: 'ws://127.0.0.1:{unused_port()}'"
    page.tab.run("window.setTimeout = (action, delay) => events.push(['timer', delay])")
    page.start(f"{silent}, timeout: undefined, base: undefined, cap: undefined, now: undefined")
    page.status("waiting")
    assert page.events("timer") == [[10_000], [1000]]


def test_a_heartbeat_that_is_undefined_is_the_usual_one(page: Page, peer: Peer) -> None:
    page.tab.run("window.setTimeout = (action, delay) => events.push(['timer', delay])")
    page.start("heartbeat: undefined, utype: undefined, token: undefined")
    assert peer.login()[1] == "u"
    page.status("open")
    assert page.events("timer") == [[10_000], [20_000]]


# --- messages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        ('{"uid":"u","percent":"88%"}', {"uid": "u", "percent": "88%"}),
        ("[1, 2]", [1, 2]),
        ("not {json", "not {json"),
        ("", ""),
    ],
)
def test_a_message_is_handed_over_parsed_and_raw(
    page: Page, peer: Peer, raw: str, data: object
) -> None:
    page.start()
    connection, _ = peer.login()
    connection.send(raw)
    assert page.event("message") == [data, raw]


def test_messages_keep_their_order(page: Page, peer: Peer) -> None:
    page.start()
    connection, _ = peer.login()
    for number in range(200):
        connection.send(str(number))
    page.event("message", 199)
    assert [data for data, _ in page.events("message")] == list(range(200))


def test_send_reaches_the_server_after_the_login_and_says_so(page: Page, peer: Peer) -> None:
    page.start()
    connection, _ = peer.login()
    page.status("open")
    assert page.tab.run("return push.send('hello')") is True
    assert said(connection) == "hello"
    page.tab.run("push.close()")
    assert page.tab.run("return push.send('hello')") is False


def test_the_status_is_told_as_it_changes(page: Page, peer: Peer) -> None:
    page.start(base=1)
    peer.login()[0].close(3001)
    peer.login()[0].close(3500)
    page.status("closed")
    statuses = [status for (status,) in page.events("status")]
    assert statuses == ["open", "waiting", "connecting", "open", "closed"]


def test_handlers_may_be_chained_and_several_are_called_in_turn(page: Page, peer: Peer) -> None:
    page.start()
    connection, _ = peer.login()
    page.tab.run("for (const n of [1, 2]) push.on('message', (data) => events.push([data, n]))")
    page.tab.run("window.chained = push.on('open', () => {}).on('open', () => {}) === push")
    connection.send('"m"')
    page.event("m")
    assert page.tab.run("return chained") is True
    assert page.events("m") == [[1], [2]]


# --- heartbeat and sleep ----------------------------------------------------------------------


def test_heartbeats_go_on_for_as_long_as_the_connection_is_open(page: Page, peer: Peer) -> None:
    page.start(heartbeat=20)
    connection, _ = peer.login()
    assert {said(connection) for _ in range(5)} == {'{"data":"heartbeat"}'}


def test_after_a_short_nap_a_heartbeat_probes_the_connection(page: Page, peer: Peer) -> None:
    page.start()
    connection, _ = peer.login()
    page.status("open")
    page.tab.run("clock += 89e3")
    page.dispatch("pageshow")
    assert said(connection) == '{"data":"heartbeat"}'
    assert page.events("close") == []
    assert page.timers() == 1


@pytest.mark.parametrize("event", ["visibilitychange", "pageshow"])
def test_after_a_long_sleep_it_connects_anew_and_loses_nothing_that_had_come(
    page: Page, peer: Peer, event: str
) -> None:
    page.start(base=1)
    connection, _ = peer.login()
    page.status("open")
    page.tab.run("clock += 91e3")
    page.dispatch(event)
    assert said(connection) == '{"data":"heartbeat"}'
    connection.send("1")
    assert peer.login()[1] == "u"
    names = [name for name, *_ in page.tab.run("return events")]
    assert names.index("message") < names.index("close")
    assert page.closed()["reason"] == "asleep"


def test_a_heartbeat_that_comes_late_is_a_sleep_too(page: Page, peer: Peer) -> None:
    page.start(base=1, heartbeat=20, asleep=90)
    connection, _ = peer.login()
    said(connection)
    page.tab.run("clock += 91")
    assert peer.login()[1] == "u"


def test_a_network_that_came_back_gets_a_new_connection(page: Page, peer: Peer) -> None:
    page.start(base=1)
    peer.login()
    page.status("open")
    page.dispatch("online")
    page.dispatch("visibilitychange")  # as a laptop's lid does; it may not call this off
    assert peer.login()[1] == "u"


def test_waking_while_waiting_is_an_attempt_at_once(page: Page, peer: Peer) -> None:
    page.start(base=60_000)
    peer.login()[0].close(3001)
    page.status("waiting")
    page.tab.run("dice = 0")
    page.dispatch("online")
    assert peer.login()[1] == "u"


def test_a_page_that_gets_hidden_is_not_waking(page: Page, peer: Peer) -> None:
    page.start(base=60_000)
    peer.login()[0].close(3001)
    page.status("waiting")
    before = page.tab.run("return [...timers]")
    page.tab.run("Object.defineProperty(document, 'hidden', { value: true })")
    page.dispatch("visibilitychange")
    assert page.tab.run("return [...timers]") == before
    page.dispatch("online")
    assert page.tab.run("return [...timers]") != before


def test_a_page_that_is_left_is_gone_at_once_and_there_again_on_the_way_back(
    page: Page, peer: Peer
) -> None:
    page.tab.run("window.kept = true")
    page.start(base=300)  # a page that is left still runs for a moment
    left, _ = peer.login()
    page.status("open")
    page.tab.open(f"http://{peer.address}/elsewhere")
    with pytest.raises(ConnectionClosed):
        left.recv(timeout=10)
    page.tab.driver.back()
    assert peer.login()[1] == "u"
    page.status("open")
    assert page.tab.run("return window.kept")  # the same page, out of the browser's cache


def test_a_page_that_is_left_while_it_waits_changes_nothing(page: Page, peer: Peer) -> None:
    page.start(base=60_000)
    peer.login()[0].close(3001)
    page.status("waiting")
    before = page.tab.run("return [...timers]")
    for _ in range(4):
        page.dispatch("pagehide")
    assert len(page.events("close")) == 1
    assert page.tab.run("return [...timers]") == before


def test_attempts_that_a_page_gave_up_when_it_was_left_are_no_failures(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page.start(url=f"ws://127.0.0.1:{silent.getsockname()[1]}", base=60_000, cap=1e9)
        for _ in range(3):
            page.dispatch("pagehide")
            page.tab.run("dice = 0")
            page.dispatch("pageshow")
            page.status("connecting")
            page.tab.run("dice = 1")
        closes = [detail for (detail,) in page.events("close")]
        assert [detail["reason"] for detail in closes] == ["hidden"] * 3
        assert [detail["delay"] for detail in closes] == [60_000] * 3
        page.tab.run("push.close()")


# --- reconnecting -----------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 3000, 3001, 3012, 3499, 4000])
def test_after_this_code_it_reconnects(page: Page, peer: Peer, code: int) -> None:
    page.start(base=1)
    connection, _ = peer.login()
    connection.close(code, "why")
    assert page.closed() == {"code": code, "reason": "why", "willReconnect": True, "delay": 1}
    assert peer.login()[1] == "u"


def test_after_a_connection_that_just_ended_it_reconnects(page: Page, peer: Peer) -> None:
    page.start(base=1)
    connection, _ = peer.login()
    connection.socket.shutdown(socket.SHUT_RDWR)
    assert page.closed()["code"] == 1006
    assert peer.login()[1] == "u"


@pytest.mark.parametrize("code", [3500, 3501, 3502, 3503, 3504, 3999])
def test_after_this_code_nothing_is_left_that_could_reconnect(
    page: Page, peer: Peer, code: int
) -> None:
    page.start(base=1)
    connection, _ = peer.login()
    connection.close(code, "why")
    assert page.closed() == {"code": code, "reason": "why", "willReconnect": False, "delay": 0}
    page.status("closed")
    assert (page.timers(), page.listeners()) == (0, [])


def test_the_longest_delay_doubles_up_to_the_cap(page: Page) -> None:
    page.start(url=f"ws://127.0.0.1:{unused_port()}", base=1, cap=20)
    assert [page.closed(index)["delay"] for index in range(7)] == [1, 2, 4, 8, 16, 20, 20]


def test_the_jitter_is_full(page: Page) -> None:
    url = f"ws://127.0.0.1:{unused_port()}"
    page.start("random: Math.random", url=url, base=1, cap=8)
    delays = [page.closed(index)["delay"] for index in range(6)]
    assert all(0 <= delay < min(8, 2**index) for index, delay in enumerate(delays))
    assert len(set(delays)) == 6


def test_the_delay_is_waited_for(page: Page) -> None:
    page.tab.run("window.setTimeout = (action, delay) => events.push(['timer', delay])")
    page.start(url=f"ws://127.0.0.1:{unused_port()}")
    page.status("waiting")
    assert page.events("timer") == [[10_000], [1000]]


def test_a_connection_that_lived_to_a_heartbeat_clears_the_failures(page: Page, peer: Peer) -> None:
    page.start(base=2, heartbeat=20)
    connection, _ = peer.login()
    said(connection)
    connection.close(3001)
    peer.login()[0].close(3001)
    connection, _ = peer.login()
    said(connection)
    connection.close(3001)
    assert [page.closed(index)["delay"] for index in range(3)] == [2, 4, 2]


def test_an_attempt_that_hangs_is_given_up(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        page.start(url=f"ws://127.0.0.1:{port}", timeout=50, base=1)
        assert page.closed() == {
            "code": 1006,
            "reason": "timeout",
            "willReconnect": True,
            "delay": 1,
        }
        for _ in range(2):
            silent.accept()[0].close()
        page.tab.run("push.close()")


def test_a_login_that_hangs_is_given_up(page: Page, peer: Peer) -> None:
    page.start("token: () => new Promise(() => {})", timeout=50, base=1)
    first = peer.connection()
    assert page.closed()["reason"] == "timeout"
    peer.connection()
    assert list(first) == []


# --- close ------------------------------------------------------------------------------------


def opened(page: Page, peer: Peer) -> ServerConnection:
    page.start()
    connection, _ = peer.login()
    page.status("open")
    return connection


def test_an_open_connection_has_one_timer_and_four_listeners(page: Page, peer: Peer) -> None:
    opened(page, peer)
    assert page.timers() == 1
    assert page.listeners() == ["online", "pagehide", "pageshow", "visibilitychange"]


def test_close_closes_the_connection_and_leaves_nothing(page: Page, peer: Peer) -> None:
    connection = opened(page, peer)
    page.tab.run("push.close(); push.close()")
    assert list(connection) == []
    assert page.events("close") == [
        [{"code": 1000, "reason": "", "willReconnect": False, "delay": 0}]
    ]
    assert page.events("status")[-1] == ["closed"]
    assert (page.timers(), page.listeners()) == (0, [])


def test_close_while_connecting_leaves_nothing(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        page.start(url=f"ws://127.0.0.1:{silent.getsockname()[1]}")
        page.tab.run("push.close()")
        assert (page.timers(), page.listeners()) == (0, [])
    assert page.events("close")[0][0]["code"] == 1000


def test_close_while_waiting_leaves_nothing(page: Page, peer: Peer) -> None:
    page.start(base=60_000)
    peer.login()[0].close(3001)
    page.status("waiting")
    page.tab.run("push.close()")
    assert (page.timers(), page.listeners()) == (0, [])


def test_a_handler_may_close(page: Page, peer: Peer) -> None:
    page.start(base=1)
    page.tab.run("push.on('close', () => push.close())")
    peer.login()[0].close(3001)
    page.status("closed")
    assert [status for (status,) in page.events("status")] == ["open", "closed"]
    assert (page.timers(), page.listeners()) == (0, [])


# As the page's own: of what is thrown in another's, a page is told nothing.
ADD_SCRIPT = """
document.body.append(Object.assign(document.createElement("script"), { text: arguments[0] }));
"""
THROWING = """
window.faults = [];
window.onerror = (message) => { faults.push(message); };
for (const name of ["message", "open", "close", "status"])
  push.on(name, () => { throw new Error(`a bug at ${name}`); });
for (const name of ["message", "open", "close", "status"])
  push.on(name, (...values) => events.push([`${name} again`, ...values]));
"""


def test_a_handler_that_throws_breaks_nothing_and_is_reported(page: Page, peer: Peer) -> None:
    page.tab.run("window.asked = new Promise((resolve) => { window.answer = resolve; })")
    page.start("login: () => asked", base=1)
    page.tab.run(ADD_SCRIPT, THROWING)
    page.tab.run("answer('u')")
    connection, _ = peer.login()
    connection.send("1")
    connection.close(3001)
    assert peer.login()[1] == "u"
    page.tab.until("events.filter(([name]) => name === 'status again').length === 4")
    for name in ("message", "open", "close", "status"):
        assert page.events(f"{name} again") == page.events(name)
    assert [status for (status,) in page.events("status")] == [
        *("open", "waiting", "connecting", "open")
    ]
    told = ["open", "status", "message", "close", "status", "status", "open", "status"]
    assert page.tab.run("return faults") == [f"Uncaught Error: a bug at {name}" for name in told]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# --- where it runs ----------------------------------------------------------------------------


def test_a_module_may_import_it(page: Page) -> None:
    page.tab.run("delete globalThis.Pushline")
    page.tab.run("import('/pushline.js').then(() => { window.imported = typeof Pushline; })")
    page.tab.until("window.imported === 'function'")
