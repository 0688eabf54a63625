"""What has to be done to a connected socket itself."""

import os
import socket
from typing import Final

IDLE, INTERVAL, PROBES = 60, 15, 4
"""Seconds of silence, seconds between probes, probes without an answer (tcp(7)): two minutes."""
UNACKNOWLEDGED: Final = 30.0
"""Seconds; for connections on which nothing may be lost without a word."""


def notice_the_dead(connected: socket.socket, *, unacknowledged: float = 0.0) -> None:
    """Have the kernel end a TCP connection whose other end is gone without a word.

    While something that was sent waits for its acknowledgement nothing is probed; with
    `unacknowledged` the connection ends after so many seconds of that.
    """
    if connected.family == socket.AF_UNIX:
        return
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(unacknowledged * 1000)),
    ):
        connected.setsockopt(level, option, value)


def give_up(inherited: socket.socket) -> None:
    """In a forked child: no longer holds the parent's connection, which hears nothing of it.

    The descriptor is not closed but replaced: its number must not be given out again while the
    parent's event loop, copied too, still has objects that would close it.
    """
    descriptor = inherited.fileno()
    if descriptor >= 0:  # else it is closed already
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, descriptor, inheritable=False)
        os.close(null)
