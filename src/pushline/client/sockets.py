"""What has to be done to a socket itself."""

import os
import socket

IDLE = 60
"""Seconds of silence after which the kernel asks whether the server's machine is still there."""


def keep_alive(sock: socket.socket) -> None:
    """So that a connection that was cut without a word is found to be lost before its next use."""
    if sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE)


def give_up(sock: socket.socket) -> None:
    """In a forked child: no longer holds the parent's connection, which hears nothing of it.

    The descriptor is not closed but replaced: its number must not be given out again while the
    parent's event loop, copied too, still has objects that would close it.
    """
    descriptor = sock.fileno()
    if descriptor >= 0:  # else it is closed already
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, descriptor, inheritable=False)
        os.close(null)
