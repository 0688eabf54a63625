"""The port for operators: is it ready, and what has it counted."""

from collections.abc import Callable

from pushline.codecs import handshake
from pushline.codecs.http_head import Request
from pushline.config import Config
from pushline.errors import HttpError
from pushline.listeners.http_connection import HttpConnection, head_limits
from pushline.metrics import Metrics
from pushline.wheel import Wheel

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class OperatorListener:
    """`/ready` answers 200, or 503 with what `unready` says; `/metrics` `metrics_text`."""

    def __init__(
        self,
        config: Config,
        wheel: Wheel,
        unready: Callable[[], str],
        metrics_text: Callable[[], str],
    ) -> None:
        self.wheel = wheel
        self.limits = config.limits
        self.head_limits = head_limits(config.limits)
        self.metrics = Metrics()  # of its own: the others count browsers
        self._unready = unready
        self._metrics_text = metrics_text

    def accept(self) -> HttpConnection:
        """The protocol of a connection that was just accepted."""
        return HttpConnection(self)

    def answer(self, http: HttpConnection, request: Request, rest: bytes) -> None:
        if request.method not in ("GET", "HEAD"):
            raise HttpError(405, "only GET and HEAD", (("Allow", "GET, HEAD"),))
        if request.path == "/ready":
            answer = self._readiness()
        elif request.path == "/metrics":
            answer = 200, self._metrics_text().encode(), PROMETHEUS
        else:
            raise HttpError(404, "here are /ready and /metrics")
        http.respond(handshake.response(*answer, head_only=request.method == "HEAD"))

    def _readiness(self) -> tuple[int, bytes, str]:
        why_not = self._unready()
        if why_not:
            return 503, f"{why_not}\n".encode(), handshake.TEXT_PLAIN
        return 200, b"ready\n", handshake.TEXT_PLAIN
