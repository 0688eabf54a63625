"""What connections cost the server in memory: idle, over TLS, and when they stop reading."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

from benchmarks.browsers import open_browsers
from benchmarks.load import TO_ALL, Load, run
from benchmarks.measure import Plan, Sample, Samples
from benchmarks.processes import descriptors, forget_peak, peak_memory, resident, wait_until
from benchmarks.servers import HOST, pushline

IDLE = Load("idle --ws $WS --conns 15000 --pid $PID")
_FLOOD = "broadcast --ws $WS --push $TEXT --conns 1 --window 64 " + TO_ALL
SMALL_FLOOD = Load(_FLOOD + " --count 25000 --payload 100")
LARGE_FLOOD = Load(_FLOOD + " --count 1500 --payload 4000")
STOPPED = 100
TLS_FIRST, TLS_COUNT = 50, 2000
"""The first ones pay for what all share; what each of the others adds is measured."""


def idle(plan: Plan) -> Iterator[Sample]:
    """KB for each connection, on a fresh server each time."""
    for _ in range(plan.runs):
        with pushline() as server:
            yield Sample(run(IDLE, server).kb_per_conn)


def stopped(flood: Load) -> Samples:
    """MB for each reader that stopped, at the worst moment of a flood."""
    return lambda plan: (_stopped(flood) for _ in range(plan.runs))


def _stopped(flood: Load) -> Sample:
    """The readers stop, a healthy one among them takes the flood, the server sheds the others."""
    with pushline() as server, ExitStack() as stack:
        others = descriptors(server.pid)
        open_browsers(stack, server, [f"stopped{i}" for i in range(STOPPED)])
        before = resident(server.pid)
        forget_peak(server.pid)
        found = run(flood, server)
        taken = peak_memory(server.pid) - before
        wait_until(lambda: descriptors(server.pid) <= others, "readers that stopped are kept")
        return Sample(taken / 1024 / STOPPED, lost=found.lost)


def tls(plan: Plan) -> Iterator[Sample]:
    """KB for each idle TLS connection, on a fresh server each time."""
    authority, count = trustme.CA(), TLS_COUNT // plan.shorter
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with TemporaryDirectory() as folder:
        settings = _certificate(authority, Path(folder))
        for _ in range(plan.runs):
            yield _tls(settings, context, count)


def _tls(settings: dict[str, str], context: ssl.SSLContext, count: int) -> Sample:
    with pushline(settings) as server, ExitStack() as stack:
        open_browsers(stack, server, [f"first{i}" for i in range(TLS_FIRST)], context)
        before = resident(server.pid)
        open_browsers(stack, server, [f"u{i}" for i in range(count)], context)
        return Sample((resident(server.pid) - before) / count)


def _certificate(authority: trustme.CA, folder: Path) -> dict[str, str]:
    """The settings for a new certificate, whose files are written to `folder`."""
    issued = authority.issue_cert(HOST)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key.write_bytes(issued.private_key_pem.bytes())
    return {
        "PUSHLINE_WEBSOCKET_CERTIFICATE": str(certificate),
        "PUSHLINE_WEBSOCKET_KEY": str(key),
    }
