"""What is counted, and how it is called. Plain integers: counting must cost next to nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

Described = Mapping[str, tuple[float, str]]
"""Values with their help, by name."""
BY_PEER = "client"
"""In place of a close code where it was the client that ended."""


class Metrics:
    """Counters of one process since its start; `open` and `upgraded` go down again."""

    def __init__(self) -> None:
        self.accepted = 0
        self.open = 0
        self.upgraded = 0
        self.logins = 0
        self.ignored = 0
        self.pushes = 0
        self.offline = 0
        self.deliveries = 0
        self.bad_lines: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.refused_links: Counter[str] = Counter()
        """What GatewayWorker's ports did not take, by the kind of the BadFrameError."""
        self.closed: Counter[int | str] = Counter()
        """By the code that the server closed with, or BY_PEER."""
        self.app_errors: Counter[str] = Counter()
        """Handlers of the application that raised, by event."""

    def text(self, gauges: Described, counters: Described) -> str:
        """The text format of Prometheus, with these besides."""
        lines = [*self._counters(), *self._gauges()]
        for name, (value, help_text) in counters.items():
            lines += _counter(name, value, help_text)
        for name, (value, help_text) in gauges.items():
            lines += _gauge(name, value, help_text)
        return "\n".join(lines) + "\n"

    def _gauges(self) -> Iterator[str]:
        yield from _gauge("open_sockets", self.open, "Browsers' sockets.")
        yield from _gauge("websockets", self.upgraded, "Those that are WebSocket connections.")

    def _counters(self) -> Iterator[str]:
        yield from _counter("accepted", self.accepted, "Sockets accepted from browsers.")
        yield from _counter("logins", self.logins, "Logins.")
        yield from _counter("ignored_messages", self.ignored, "Messages that were no login.")
        yield from _counter("pushes_ok", self.pushes, "Lines answered with ok.")
        yield from _counter("pushes_offline", self.offline, "Lines to users who are not here.")
        yield from _counter("deliveries", self.deliveries, "Messages queued on connections.")
        yield from _labelled("bad_lines", "kind", self.bad_lines, "Lines and peers refused.")
        yield from _labelled(
            "refused_links", "kind", self.refused_links, "GatewayWorker links and frames refused."
        )
        yield from _labelled("http_refused", "status", self.refused, "HTTP requests refused.")
        yield from _labelled("app_errors", "event", self.app_errors, "Handlers that raised.")
        yield from _labelled("closed", "code", self.closed, "WebSocket connections closed.")


def _counter(name: str, value: float, help_text: str) -> Iterator[str]:
    yield from _head(f"{name}_total", "counter", help_text)
    yield f"pushline_{name}_total {value}"


def _labelled(name: str, label: str, values: Mapping[Any, int], help_text: str) -> Iterator[str]:
    yield from _head(f"{name}_total", "counter", help_text)
    for key, value in sorted(values.items(), key=lambda item: str(item[0])):
        yield f'pushline_{name}_total{{{label}="{key}"}} {value}'


def _gauge(name: str, value: float, help_text: str) -> Iterator[str]:
    yield from _head(name, "gauge", help_text)
    yield f"pushline_{name} {value}"


def _head(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP pushline_{name} {help_text}"
    yield f"# TYPE pushline_{name} {kind}"
