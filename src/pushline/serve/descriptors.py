"""How many connections the system allows a process."""

import resource

FEW = 10_000
OWN = 20
"""What the server itself has open: its ports, its event loop, its output."""


def raise_limit() -> int:
    """Allow this process, and those that it starts, as many sockets as it may have at all.

    Returns how many.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
