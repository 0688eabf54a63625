"""A whole server in this process: its ports of every kind, its end, and what it leaves behind."""

import asyncio
import gc
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pushline.config import Config
from pushline.errors import ConfigError
from pushline.service import FEW, Service
from tests.browser import CLOSE, Browser, RefusedError, connect, dial, request
from tests.certificates import Authority
from tests.faults.back_end import BackEnd, push_line
from tests.faults.unharmed import wait_until
from tests.in_process import TICK, InProcess, configured
from tests.ports import free_address, is_open

PUSH = push_line("uid1")
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with which close() sends a RST."""


@pytest.fixture
def process() -> Iterator[InProcess]:
    with InProcess(configured()) as process:
        process.start()
        yield process


def text_port(service: Service) -> BackEnd:
    return BackEnd(str(service.text[0]))


def page(service: Service) -> Browser:
    """A browser on its first port."""
    return connect(str(service.websocket[0]))


# --- its ports ----------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_serves_there(process: InProcess) -> None:
    service = process.service
    assert service.ready
    assert [len(each) for each in (service.websocket, service.text, service.http)] == [1, 1, 1]
    with page(service).login("uid1") as browser, text_port(service) as back_end:
        browser.settle()
        assert back_end.push(PUSH)
        assert browser.message() == PUSH


def test_it_serves_at_several_addresses_at_once() -> None:
    some = "127.0.0.1:0,[::1]:0,127.0.0.1:0"
    with InProcess(configured(WEBSOCKET_LISTEN=some, TEXT_LISTEN=some)) as process:
        service = process.start()
        assert [each.host for each in service.websocket] == ["127.0.0.1", "::1", "127.0.0.1"]
        browsers = [connect(str(address)).login("uid1") for address in service.websocket]
        for browser in browsers:
            browser.settle()
        for address in service.text:
            with BackEnd(str(address)) as back_end:
                assert back_end.push(PUSH)
        for browser in browsers:
            assert [browser.message() for _ in service.text] == [PUSH] * 3
            browser.disconnect()


@pytest.mark.parametrize("section", ["TEXT", "HTTP"])
def test_a_port_that_nobody_wants_is_not_opened(section: str) -> None:
    with InProcess(configured(**{f"{section}_LISTEN": ""})) as process:
        service = process.start()
        assert getattr(service, section.lower()) == []
        with page(service) as browser:
            browser.login("uid1").settle()


@pytest.mark.parametrize(
    ("demo", "shown"), [("loopback", 2), ("on", 2), ("off", 0)], ids=["loopback", "on", "off"]
)
def test_it_says_where_the_demo_page_is(demo: str, shown: int) -> None:
    some = "127.0.0.1:0,[::1]:0"
    with InProcess(configured(WEBSOCKET_LISTEN=some, WEBSOCKET_DEMO=demo)) as process:
        service = process.start()
        assert service.demo == service.websocket[:shown]
        assert is_demo(service) == bool(shown)


def test_the_demo_page_is_only_where_it_should_be() -> None:
    public = configured(
        WEBSOCKET_LISTEN="0.0.0.0:0,127.0.0.1:0", AUTH_SECRET="s3", WEBSOCKET_DEMO="loopback"
    )
    with InProcess(public) as process:
        service = process.start()
        assert service.demo == service.websocket[1:]
        assert not is_demo(service)


def is_demo(service: Service) -> bool:
    """Whether the first address shows it."""
    address = f"127.0.0.1:{service.websocket[0].port}"
    with dial(address) as plug, plug.makefile("rb") as reader:
        plug.sendall(f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        return reader.read().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("section", ["TEXT", "WEBSOCKET", "HTTP"])
def test_where_a_port_is_taken_it_says_which_and_gives_up_the_others(section: str) -> None:
    ports = {f"{each}_LISTEN": free_address() for each in ("TEXT", "WEBSOCKET", "HTTP")}
    taken = ports.pop(f"{section}_LISTEN")
    host, _, port = taken.rpartition(":")
    with (
        socket.create_server((host, int(port))),
        InProcess(configured(**ports, **{f"{section}_LISTEN": taken})) as process,
    ):
        with pytest.raises(
            ConfigError, match=f"^cannot listen at {taken}: Address already in use$"
        ):
            process.start()
        assert not process.service.ready
        assert [port for port in ports.values() if is_open(port)] == []


def test_a_second_server_does_not_start_where_one_runs(process: InProcess) -> None:
    """Nor does it take connections away from the first."""
    text = str(process.service.text[0])
    with (
        InProcess(configured(TEXT_LISTEN=text)) as second,
        pytest.raises(ConfigError, match="Address already in use"),
    ):
        second.start()
    with text_port(process.service) as back_end:
        assert not back_end.push(PUSH)


# --- Unix sockets -------------------------------------------------------------------------------


def test_back_ends_and_browsers_can_come_by_unix_sockets(tmp_path: Path) -> None:
    paths = {"WEBSOCKET_LISTEN": f"unix:{tmp_path}/ws", "TEXT_LISTEN": f"unix:{tmp_path}/text"}
    for _ in range(2):
        with InProcess(configured(**paths)) as process:
            service = process.start()
            assert (str(service.websocket[0]), str(service.text[0])) == tuple(paths.values())
            with unix_socket(tmp_path / "ws") as plug, unix_socket(tmp_path / "text") as back_end:
                browser = upgraded(plug).login("uid1")
                browser.settle()
                back_end.sendall(PUSH + b"\n")
                assert back_end.recv(100) == b"ok\n"
                assert browser.message() == PUSH
            assert sorted(tmp_path.iterdir()) == [tmp_path / "text", tmp_path / "ws"]
        assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_start_leaves_no_socket(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    settings = {
        "TEXT_LISTEN": f"unix:{tmp_path}/text",
        "WEBSOCKET_LISTEN": f"unix:{tmp_path}/ws,unix:{tmp_path}/taken",
    }
    with InProcess(configured(**settings)) as process:
        with pytest.raises(ConfigError, match=r"/taken: Address already in use$"):
            process.start()
        assert list(tmp_path.iterdir()) == [tmp_path / "taken"]


def unix_socket(path: Path) -> socket.socket:
    plug = socket.socket(socket.AF_UNIX)
    plug.settimeout(15)
    plug.connect(str(path))
    return plug


def upgraded(plug: socket.socket) -> Browser:
    browser = Browser(plug)
    browser.send_raw(request("localhost"))
    browser.read_head()
    return browser


def test_a_unix_socket_speaks_no_tls(tmp_path: Path, authority: Authority) -> None:
    """It is for a proxy on the same machine, which has taken TLS off."""
    listen = f"127.0.0.1:0,unix:{tmp_path}/ws"
    with InProcess(with_tls(authority, WEBSOCKET_LISTEN=listen)) as process:
        service = process.start()
        with (
            unix_socket(tmp_path / "ws") as plug,
            connect(str(service.websocket[0]), tls=authority.client()) as secure,
            text_port(service) as back_end,
        ):
            for browser in (plain := upgraded(plug), secure):
                browser.login("uid1").settle()
            assert back_end.push(PUSH)
            assert plain.message() == secure.message() == PUSH


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def with_tls(authority: Authority, **settings: str) -> Config:
    return configured(
        WEBSOCKET_CERTIFICATE=authority.certificate, WEBSOCKET_KEY=authority.key, **settings
    )


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[InProcess]:
    with InProcess(with_tls(authority)) as process:
        process.start()
        yield process


def test_browsers_are_served_over_tls(secure: InProcess, authority: Authority) -> None:
    """A push of many TLS records, and the close handshake, too."""
    service = secure.service
    long = PUSH.ljust(500_000)
    with connect(str(service.websocket[0]), tls=authority.client()) as browser:
        browser.login("uid1").settle()
        with text_port(service) as back_end:
            for line in (PUSH, long):
                assert back_end.push(line)
                assert browser.message() == line
        browser.send_frame(CLOSE, struct.pack("!H", 1000))
        assert browser.close_code() == 1000
        assert browser.wait_ended() == b""


def test_a_page_over_tls_comes_whole_and_ends(secure: InProcess, authority: Authority) -> None:
    address = str(secure.service.websocket[0])
    with authority.client().wrap_socket(dial(address), server_hostname="127.0.0.1") as plug:
        plug.sendall(f"GET /pushline.js HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        with plug.makefile("rb") as reader:
            head, _, body = reader.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"\r\nContent-Length: {len(body)}\r\n".encode() in head


def test_whoever_speaks_no_tls_there_gets_no_page(secure: InProcess) -> None:
    with dial(str(secure.service.websocket[0])) as plug:
        plug.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        browser = Browser(plug)
        assert b"HTTP" not in browser.wait_ended()
    wait_until(lambda: secure.call(lambda: secure.service.metrics.open) == 0)


def test_a_certificate_that_does_not_serve_is_said_before_any_port_is_open(
    authority: Authority,
) -> None:
    text = free_address()
    with InProcess(
        configured(
            WEBSOCKET_CERTIFICATE=authority.certificate,
            WEBSOCKET_KEY=authority.certificate,
            TEXT_LISTEN=text,
        )
    ) as process:
        with pytest.raises(ConfigError, match=r"^websocket\.certificate "):
            process.start()
        assert not is_open(text)


# --- its end ------------------------------------------------------------------------------------


def answer_close(browser: Browser) -> None:
    browser.send_frame(CLOSE, struct.pack("!H", 3001))
    assert browser.wait_ended() == b""


def test_draining_tells_all_who_were_upgraded_whatever_they_wait_for() -> None:
    with InProcess(configured(AUTH_SESSIONS="first", AUTH_CHALLENGE="9")) as process:
        service = process.start()
        with page(service) as stranger, page(service) as older, page(service) as newer:
            older.login("uid1").settle()
            newer.login("uid1").settle()
            stranger.settle()
            draining = process.begin(service.drain())
            for browser in (stranger, older, newer):
                assert browser.close_code() == 3001
                answer_close(browser)
            draining.result()


def test_while_it_drains_back_ends_are_answered_and_nobody_new_is_let_in(
    process: InProcess,
) -> None:
    service = process.service
    with page(service) as mute, text_port(service) as back_end:
        mute.login("uid1").settle()
        assert back_end.push(PUSH)
        draining = process.begin(service.drain())
        assert mute.close_code() == 3001
        assert not service.ready
        assert not back_end.push(PUSH)
        assert not is_open(str(service.websocket[0]))
        assert not is_open(str(service.text[0]))
        assert is_open(str(service.http[0]))
        answer_close(mute)
        draining.result()


def test_draining_nobody_takes_no_time(process: InProcess) -> None:
    process.run(process.service.drain())
    assert process.service.metrics.closed == {}


def test_draining_waits_for_browsers_that_answer_their_close(process: InProcess) -> None:
    service = process.service
    browsers = [page(service) for _ in range(FEW + 1)]
    for number, browser in enumerate(browsers):
        browser.login(f"uid{number}").settle()
    draining = process.begin(service.drain())
    for browser in browsers:
        assert browser.close_code() == 3001
        answer_close(browser)
        browser.disconnect()
    draining.result()
    assert service.metrics.closed == {3001: FEW + 1}
    assert service.metrics.open == 0


def test_stopping_ends_everything_at_once(process: InProcess) -> None:
    service = process.service
    with page(service) as browser, text_port(service) as back_end:
        browser.login("uid1").settle()
        assert back_end.push(PUSH)
        assert browser.message() == PUSH
        process.call(service.stop)
        browser.wait_ended()
        assert back_end.wait_ended() == b""
    ports = (*service.websocket, *service.text, *service.http)
    assert [port for port in ports if is_open(str(port))] == []
    assert process.tasks() == 0


def test_after_it_was_stopped_nothing_ticks_any_more(process: InProcess) -> None:
    process.call(process.service.stop)
    ticks = process.service.wheel.now
    process.run(asyncio.sleep(TICK * 5))
    assert process.service.wheel.now == ticks


def test_stopping_twice_is_stopping(process: InProcess) -> None:
    process.call(process.service.stop)
    process.call(process.service.stop)
    assert not process.service.ready


# --- what it leaves behind ----------------------------------------------------------------------


def say_goodbye(browser: Browser) -> None:
    browser.send_frame(CLOSE, struct.pack("!H", 1000))


def vanish(browser: Browser) -> None:
    pass


def reset(browser: Browser) -> None:
    browser.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def half_close(browser: Browser) -> None:
    browser.socket.shutdown(socket.SHUT_WR)


def break_off(browser: Browser) -> None:
    """In the middle of a message, so that its decoder is kept."""
    browser.send_frame(1, b"half a mess", fin=False)


def break_the_protocol(browser: Browser) -> None:
    browser.send_frame(7)


LEAVING: list[Callable[[Browser], None]] = [
    *(say_goodbye, vanish, reset, half_close, break_off, break_the_protocol)
]
"""What a browser does before its socket is closed."""


def come_and_go(service: Service, cycles: int, *, at_once: int = 50) -> None:
    """Browsers of a few users and types connect, log in and leave in every way."""
    for start in range(0, cycles, at_once):
        browsers = [page(service) for _ in range(at_once)]
        for number, browser in enumerate(browsers, start):
            browser.login(f"uid{number % 7}", utype=number % 3 or None)
            LEAVING[number % len(LEAVING)](browser)
            browser.disconnect()


def alive(process: InProcess) -> Counter[str]:
    """How many objects of each of our types there are, and of transports."""
    process.settle()
    return process.call(
        lambda: Counter(
            kind.__name__
            for kind in map(type, gc.get_objects())
            if kind.__module__.startswith("pushline.") or kind.__name__ == "TCPTransport"
        )
    )


def test_after_2000_connections_every_index_gauge_and_the_wheel_are_empty(
    process: InProcess,
) -> None:
    service = process.service
    watched = process.call(service.wheel.items)
    gc.disable()
    try:
        come_and_go(service, 50)
        wait_until(lambda: service.metrics.open == 0)
        before = alive(process)
        come_and_go(service, 2000)
        wait_until(lambda: service.metrics.open == 0)
        assert alive(process) - before == Counter(), "they are left to the garbage collector"
    finally:
        gc.enable()
    assert service.metrics.accepted == 2050
    assert service.metrics.logins == 2050
    assert sum(service.metrics.closed.values()) == 2050
    assert service.metrics.upgraded == 0
    assert service.hub.connections == {}
    assert service.hub._utypes == {}
    assert service.node.outbox.held == 0
    assert process.call(service.wheel.items) == watched
    assert process.tasks() == 0


def test_back_ends_leave_nothing_behind(process: InProcess) -> None:
    service = process.service
    watched = process.call(service.wheel.items)
    gc.disable()
    try:
        before = alive(process)
        for leave in (*LEAVING[1:4], None) * 25:
            with text_port(service) as back_end:
                back_end.send(PUSH + b"\n{" if leave else b"GET / HTTP/1.1\r\n")
                if leave:
                    back_end.answer()
                    leave(Browser(back_end.socket))
        wait_until(lambda: not process.call(lambda: set(service._text.back_ends)))
        assert alive(process) - before == Counter()
    finally:
        gc.enable()
    assert process.call(service.wheel.items) == watched


def test_requests_for_pages_leave_nothing_behind(process: InProcess) -> None:
    service = process.service
    address = str(service.websocket[0])
    watched = process.call(service.wheel.items)
    gc.disable()
    try:
        before = alive(process)
        for path in ("/", "/pushline.js", "/nothing", "no path") * 10:
            with dial(address) as plug, plug.makefile("rb") as reader:
                plug.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
                reader.read()
        dial(address).close()
        wait_until(lambda: service.metrics.open == 0)
        assert alive(process) - before == Counter()
    finally:
        gc.enable()
    assert process.call(service.wheel.items) == watched


# --- limits -------------------------------------------------------------------------------------


def test_one_browser_too_many_is_told_so_before_its_upgrade() -> None:
    with InProcess(configured(LIMITS_CONNECTIONS="2")) as process:
        service = process.start()
        with page(service), page(service) as second:
            with pytest.raises(RefusedError) as refused:
                page(service)
            assert refused.value.status == 503
            assert b"\r\nRetry-After: " in refused.value.answer
            second.disconnect()
            wait_until(lambda: service.metrics.upgraded == 1)
            page(service).disconnect()


def test_metrics_tell_who_is_here(process: InProcess) -> None:
    service = process.service
    with page(service) as one, page(service) as two, page(service) as stranger:
        one.login("uid1").settle()
        two.login("uid1").settle()
        stranger.settle()
        with text_port(service) as back_end:
            assert not back_end.push(push_line("nobody"))
            text = process.call(service.metrics_text)
    told = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert {name: told[f"pushline_{name}"] for name in ("connections", "users", "back_ends")} == {
        "connections": "2",
        "users": "1",
        "back_ends": "1",
    }
    assert (told["pushline_open_sockets"], told["pushline_websockets"]) == ("3", "3")
    assert float(told["pushline_loop_lag_seconds"]) >= 0
