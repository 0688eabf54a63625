"""An application: echo, a verb, and a message in a room of the chat."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks.apps import VERBS
from benchmarks.browsers import Browser, open_browsers
from benchmarks.load import Found, Load, run
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.processes import cpu_seconds
from benchmarks.push import BackEnd
from benchmarks.servers import Server, pushline

ROOT = Path(__file__).parents[1]
CHAT = str(ROOT / "examples" / "chat")
ECHO = Load("echo --ws $WS --login '' --conns 64 --hold 5 --pid $PID")
ECHO_ALONE = Load("echo --ws $WS --login '' --conns 1 --hold 3 --pid $PID")
PEOPLE = 200
MESSAGES = 600
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
    count = MESSAGES // plan.shorter
    with ExitStack() as stack:
        chat, push = Room(stack), Crowd(stack)
        for _ in range(plan.runs):
            least, found = push.cost(count), chat.cost(count)
            yield Sample(found - least, found, least)


def application(name: str, directory: str = str(ROOT)) -> AbstractContextManager[Server]:
    return pushline(app=name, directory=directory)


class Room:
    """A room of the chat, full of people."""

    def __init__(self, stack: ExitStack) -> None:
        self._server = stack.enter_context(application("chat:app", CHAT))
        login = json.dumps({"type": "login", "client_name": "Ada", "room_id": 1})
        self._people = open_browsers(stack, self._server, [login] * PEOPLE)
        for newer, browser in enumerate(self._people):
            for _ in range(PEOPLE - newer):
                browser.message()  # its own login and those of all who came later

    def cost(self, count: int) -> float:
        say = json.dumps(
            {"type": "say", "to_client_id": "all", "to_client_name": "all", "content": CONTENT}
        )
        return cost(self._server, count, self._people, lambda: self._people[0].send(say))


class Crowd:
    """As many who are logged in, and a back end that pushes messages of the same size to all."""

    def __init__(self, stack: ExitStack) -> None:
        self._server = stack.enter_context(pushline())
        self._people = open_browsers(stack, self._server, [f"u{n}" for n in range(PEOPLE)])
        self._back_end = stack.enter_context(BackEnd(self._server))

    def cost(self, count: int) -> float:
        said = {
            "type": "say",
            "from_client_id": "0" * 20,
            "from_client_name": "Ada",
            "to_client_id": "all",
            "content": CONTENT,
            "time": "2000-01-01 00:00:00",
        }
        line = json.dumps({"uid": "", **said}).encode() + b"\n"
        return cost(self._server, count, self._people, lambda: self._back_end.push(line))


def cost(server: Server, count: int, people: list[Browser], say: Callable[[], object]) -> float:
    """µs of the server's CPU for each of `count` messages, one after the other."""
    began = cpu_seconds(server.pid)
    for _ in range(count):
        say()
        for browser in people:
            browser.message()
    return (cpu_seconds(server.pid) - began) / count * 1e6
