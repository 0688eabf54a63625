"""Every push that was counted `ok` arrives, once and in order, at each connection."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

from benchmarks.browsers import TIMEOUT, Browser, open_browsers
from benchmarks.measure import Plan, Sample
from benchmarks.servers import HOST, Server, pushline

PUSHES, USERS, TABS = 20_000, 100, 2
BATCH = 500
"""Pushes that are written at once, before an answer is read."""


def unkept(plan: Plan) -> Iterator[Sample]:
    """How many messages were missing, or not the next one of their connection."""
    with pushline() as server:
        for _ in range(plan.runs):
            yield Sample(_unkept(server, _pushes(PUSHES // plan.shorter)))


def _pushes(count: int) -> list[tuple[str, bytes]]:
    """Whom each is for, and its line: one in ten is for everyone, the others for one user."""
    random = Random(count)
    uids = [f"u{random.randrange(USERS)}" if i % 10 else "" for i in range(count)]
    return [(uid, b'{"uid":"%s","n":%d}' % (uid.encode(), n)) for n, uid in enumerate(uids)]


def _unkept(server: Server, pushes: list[tuple[str, bytes]]) -> int:
    uids = [f"u{i}" for i in range(USERS)] * TABS
    with ExitStack() as stack:
        browsers = open_browsers(stack, server, uids)
        refused = _push(server, [line for _, line in pushes])
        return refused + sum(
            _missing(browser, [line for to, line in pushes if to in ("", uid)])
            for browser, uid in zip(browsers, uids, strict=True)
        )


def _push(server: Server, lines: list[bytes]) -> int:
    """How many of `lines` were not answered `ok`."""
    with socket.create_connection((HOST, server.text_port), TIMEOUT) as back_end:
        answers = back_end.makefile("rb")
        refused = 0
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            back_end.sendall(b"".join(line + b"\n" for line in batch))
            refused += sum(answers.readline() != b"ok\n" for _ in batch)
    return refused


def _missing(browser: Browser, expected: list[bytes]) -> int:
    """How many of `expected` did not come in their turn."""
    for arrived, line in enumerate(expected):
        try:
            kept = browser.message() == line
        except OSError:
            kept = False
        if not kept:
            return len(expected) - arrived
    return 0
