"""An application: echo, a verb, and a message in a room of the chat."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median

from benchmarks.apps import VERBS
from benchmarks.browsers import open_browsers
from benchmarks.load import Found, Load, run, started
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.processes import cpu_seconds, descriptors, wait_until
from benchmarks.push import BackEnd
from benchmarks.servers import Server, pushline

ROOT = Path(__file__).parents[1]
CHAT = str(ROOT / "examples" / "chat")
ECHO = Load("echo --ws $WS --login '' --conns 64 --hold 5 --pid $PID")
LOGIN = json.dumps({"type": "login", "client_name": "Ada", "room_id": 1})
PEOPLE = 200
IN_A_ROOM = Load(f"listen --ws $WS --conns {PEOPLE - 1} --hold 8 --login '{LOGIN}'")
LOGGED_IN = Load(f"listen --ws $WS --conns {PEOPLE - 1} --hold 8")
ECHO_ALONE = Load("echo --ws $WS --login '' --conns 1 --hold 3 --pid $PID")
BLOCKS, MESSAGES, RATE = 5, 100, 200
"""Blocks of each kind in turn, so that what else the machine does meets both; messages of a block,
and messages a second."""
OWN_DESCRIPTORS = 12
"""A server's own, at least: its ports, its event loop, its output."""
CONTENT = "x" * 100


def rate(found: Found) -> float:
    """Echoes a second."""
    return found.per_s


def latency(found: Found) -> float:
    """There and back, in ms at the median."""
    return found.p50_us / 1000


def echo(load: Load, figure: Callable[[Found], float]) -> Samples:
    def samples(plan: Plan) -> Iterator[Sample]:
        with application("benchmarks.apps:echo") as server:
            for _ in range(plan.runs):
                yield Sample(figure(run(load, server)))

    return samples


def verb(plan: Plan) -> Iterator[Sample]:
    """µs of CPU for `send_to_client` to one local connection."""
    with application("benchmarks.apps:verb") as server, ExitStack() as stack:
        (browser,) = open_browsers(stack, server, [""])
        for _ in range(plan.runs):
            browser.send("x")
            for _ in range(VERBS):
                browser.message()
            yield Sample(float(browser.message()))


def room(plan: Plan) -> Iterator[Sample]:
    """µs that a message in a room costs the server more than a broadcast to as many."""
    blocks = max(1, BLOCKS // plan.shorter)
    with ExitStack() as stack:
        chat, pushes = (
            stack.enter_context(application("chat:app", CHAT)),
            stack.enter_context(pushline()),
        )
        for _ in range(plan.runs):
            yield _room(chat, pushes, blocks)


def _room(chat: Server, pushes: Server, blocks: int) -> Sample:
    with ExitStack() as stack:
        say, push = Room(stack, chat), Crowd(stack, pushes)
        costs = [(say.cost(), push.cost()) for _ in range(blocks)]
        found, least = (median(each) for each in zip(*costs, strict=True))
        return Sample(found - least, found, least)


def application(name: str, directory: str = str(ROOT)) -> AbstractContextManager[Server]:
    return pushline(app=name, directory=directory)


class Listeners:
    """All but one who hear a message: wsload, which reads fast. The one sees when it has come."""

    def __init__(self, stack: ExitStack, server: Server, load: Load, login: str) -> None:
        self._server = server
        wait_until(lambda: descriptors(server.pid) < PEOPLE, "those of before do not leave")
        stack.enter_context(started(load, server))
        full = OWN_DESCRIPTORS + PEOPLE - 1
        wait_until(lambda: descriptors(server.pid) >= full, "not all get in")
        (self.observer,) = open_browsers(stack, server, [login])

    def cost(self) -> float:
        """µs of the server's CPU for each of a block of messages."""
        began, next_at = cpu_seconds(self._server.pid), time.monotonic()
        for _ in range(MESSAGES):
            self.say()
            self.observer.message()
            next_at += 1 / RATE
            time.sleep(max(0.0, next_at - time.monotonic()))
        return (cpu_seconds(self._server.pid) - began) / MESSAGES * 1e6

    def say(self) -> None:
        """Have all of them sent a message."""
        raise NotImplementedError


class Room(Listeners):
    """People in a room of the chat, one of whom speaks."""

    def __init__(self, stack: ExitStack, server: Server) -> None:
        super().__init__(stack, server, IN_A_ROOM, LOGIN)
        self.observer.message()  # its own login
        say = {"type": "say", "to_client_id": "all", "to_client_name": "all", "content": CONTENT}
        self._say = json.dumps(say)

    def say(self) -> None:
        self.observer.send(self._say)


class Crowd(Listeners):
    """As many who are logged in, and a back end that pushes messages of the same size to all."""

    def __init__(self, stack: ExitStack, server: Server) -> None:
        super().__init__(stack, server, LOGGED_IN, "observer")
        self._back_end = stack.enter_context(BackEnd(server))
        said = {"type": "say", "from_client_id": "0" * 20, "from_client_name": "Ada"}
        said |= {"to_client_id": "all", "content": CONTENT, "time": "2000-01-01 00:00:00"}
        self._line = json.dumps({"uid": "", **said}, separators=(",", ":")).encode() + b"\n"

    def say(self) -> None:
        self._back_end.push(self._line)
