"""What PHP's GatewayClient and BusinessWorker sent, and what PHP's Gateway made of it."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from pushline.codecs.gateway_frames import HEAD
from tests.browser import BINARY, CLOSE, PING, PONG, TEXT, Browser, EndedError, dial, encoded
from tests.gatewayworker.recorded import RECORDED, in_life
from tests.listeners.inner_port import SECRET, Gateway, Peer, serving

ADVERTISED = "127.0.0.1:2300"
"""Of the gateway that was recorded; where this one listens is another matter."""
CLIENTS = "ABCD"
Call = dict[str, Any]


def recorded(secret: str = "") -> AbstractContextManager[Gateway]:
    """One with the recorded ids."""
    return serving(
        draw=count(1).__next__,
        GATEWAY_ADVERTISE=ADVERTISED,
        GATEWAY_SECRET=secret,
        AUTH_MODE="app",
    )


def flow(call: Call, peer: str, way: str) -> list[bytes]:
    return [
        bytes.fromhex(sent["hex"])
        for sent in call["flow"]
        if (sent["peer"], sent["way"]) == (peer, way)
    ]


def expected_of(call: Call) -> dict[str, list[str]]:
    """By browser. Where PHP's Gateway ends a connection that it kicks without a Close frame, ours
    sends one."""
    code = "3503" if call["php"].startswith("Gateway::closeClient") else "1006"
    lines: dict[str, list[str]] = {name: [] for name in CLIENTS}
    for line in call["delivered"]:
        lines[line[0]].append(line[2:].replace("1006", code))
    return lines


def heard(browser: Browser) -> Iterator[str]:
    """What has come to a browser until now, or until its end, in the recording's words."""
    browser.send_frame(PING, b"until now")
    try:
        while (frame := browser.receive()) != (PONG, b"until now"):
            opcode, payload = frame
            if opcode == CLOSE:
                yield f"closed {int.from_bytes(payload[:2])}"
                return
            yield repr(payload.decode())
    except EndedError:
        yield "closed 1006"


def but_for_ports(event: bytes) -> bytes:
    """Without the client's, and the public one that it came to."""
    return event[:15] + event[17:22] + event[24:]


def test_the_recorded_calls_have_the_recorded_answers_and_effects() -> None:
    with recorded() as gateway, gateway.worker() as worker:
        browsers = {name: gateway.browse() for name in CLIENTS}
        assert len(worker.events(2 * len(CLIENTS))) == 8
        calls = RECORDED["calls"]
        assert len(calls) == 47
        for call in calls:
            replay(gateway, worker, browsers, call)
        assert worker.settle() == []
        assert set(browsers) == {"A", "B"}
        for browser in browsers.values():
            browser.disconnect()


def replay(gateway: Gateway, worker: Peer, browsers: dict[str, Browser], call: Call) -> None:
    with Peer(gateway.address) as client:
        (request,) = flow(call, "gateway", "request")
        client.send(request)
        for reply in flow(call, "gateway", "reply"):
            assert client.exactly(len(reply)) == reply, call["call"]
        assert client.settle() == []
    for name, expected in expected_of(call).items():
        if browser := browsers.get(name):
            assert [*heard(browser)] == expected, call["call"]
            if expected and "closed" in expected[-1]:
                browsers.pop(name).disconnect()
    for event in flow(call, "worker", "event"):
        assert but_for_ports(worker.exactly(len(event))) == but_for_ports(event)


# --- a worker's life ----------------------------------------------------------------------------

UPGRADE = (
    b"GET /p?token=abc&x=1 HTTP/1.1\r\nHost: 127.0.0.1:7272\r\nOrigin: http://example.com\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: YfPa2G3OKW2axMVYYPhW2A==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Cookie: sid=42\r\nUser-Agent: Python/3.11 websockets/17.4\r\n\r\n"
)


def from_our_ports(event: bytes, browser: Browser) -> bytes:
    """A recorded event of this browser: with its port, and the one that it came to."""
    (_, port), (_, public) = browser.socket.getsockname(), browser.socket.getpeername()
    body = event[HEAD:].replace(b"i:41748;", b"i:%d;" % port)
    body = re.sub(rb"(SERVER_PORT.;)i:7272;", rb"\g<1>i:%d;" % public, body)
    ports = [int(port).to_bytes(2), int(public).to_bytes(2)]
    head = event[4:15] + ports[0] + event[17:22] + ports[1] + event[24:HEAD]
    return (HEAD + len(body)).to_bytes(4) + head + body


STEPS: list[tuple[bytes, int, list[bytes]]] = [
    (b"", 2, [b'{"id":"7f00000108fc00000001"}']),
    (encoded(TEXT, b"hi"), 1, [b"echo:hi"]),
    (encoded(TEXT, b"session"), 1, [b"echo:session", b""]),
    (encoded(TEXT, b"session"), 1, [b"echo:session", b""]),
    (encoded(BINARY, b"\0\1bin"), 1, [b"echo:\0\1bin"]),
]
"""What the browser sends, how many events the worker gets of it, and what the browser then gets
for each of its commands: nothing for that of a session."""


def test_a_recorded_worker_lives_as_it_did() -> None:
    greeting, *commands = in_life("worker", "gateway")
    events = in_life("gateway", "worker")
    with (
        recorded(SECRET) as gateway,
        Peer(gateway.address) as worker,
        Browser(dial(gateway.browsers)) as browser,
    ):

        def is_told(event: bytes) -> None:
            expected = from_our_ports(event, browser)
            assert worker.exactly(len(expected)) == expected

        worker.send(greeting)
        browser.send_raw(UPGRADE)
        browser.read_head()
        for said, happened, echoes in STEPS:
            browser.send_raw(said)
            for _ in range(happened):
                is_told(events.pop(0))
            worker.send(*(commands.pop(0) for _ in echoes))
            worker.settle()
            expected = [echo for echo in echoes if echo]
            assert [browser.receive()[1] for _ in expected] == expected
        (end,) = (from_our_ports(event, browser) for event in events)
        browser.disconnect()
        assert worker.exactly(len(end)) == end
        assert worker.settle() == []
        assert commands == []


def test_a_recorded_client_is_answered_as_it_was() -> None:
    (question,), (reply,) = in_life("client", "gateway"), in_life("gateway", "client")
    with recorded(SECRET) as gateway, Peer(gateway.address) as client:
        client.send(question)
        assert client.exactly(len(reply)) == reply
