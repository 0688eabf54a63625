"""What has to be done to a link's socket itself."""

import os
import socket
from typing import Final

IDLE, INTERVAL, PROBES = 60, 15, 4
"""Seconds of silence, and then the probes, after which a machine that is gone is noticed."""
UNACKNOWLEDGED: Final = 30_000
"""Milliseconds in which what was sent has to be acknowledged; while it is not, nothing is probed.
What the gateway's machine never saw is lost, so that the link has to be."""


def notice_the_dead(connected: socket.socket) -> None:
    """So that a connection that was cut without a word is found to be lost."""
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED),
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
