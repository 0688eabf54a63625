"""What has to be done to a connected socket itself, and what it tells."""

import asyncio
import fcntl
import os
import socket
import sys
import termios
from typing import Final

IDLE, INTERVAL, PROBES = 60, 15, 4
"""Seconds of silence, seconds between probes, probes without an answer (tcp(7)): two minutes."""
UNACKNOWLEDGED: Final = 30.0
"""Seconds; for connections on which nothing may be lost without a word."""
BYTES_ACKED: Final = slice(120, 128)
"""Where Linux's `struct tcp_info` has `tcpi_bytes_acked`."""


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


def unconfirmed(transport: asyncio.WriteTransport) -> int:
    """Bytes that the peer has not confirmed: the transport's and the kernel's.

    Over TLS the transport does not tell of all; but it is 0 only where the peer has everything.
    """
    return transport.get_write_buffer_size() + _in_kernel(transport.get_extra_info("socket"))


def _in_kernel(connected: socket.socket | None) -> int:
    """SIOCOUTQ of tcp(7), which has the number of TIOCOUTQ; 0 of a closed one."""
    if connected is None or connected.fileno() < 0:
        return 0
    answer = fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


def acknowledged(connected: socket.socket) -> int:
    """Bytes that the peer of a TCP connection has acknowledged, ever."""
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BYTES_ACKED.stop)
    return int.from_bytes(info[BYTES_ACKED], sys.byteorder)


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
