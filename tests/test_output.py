"""Standard error, as a thread writes to it."""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pushline.output import MOST, PATIENCE, Output

SIZE = 4096
"""Bytes of a text, which are a page of the pipe."""


class Pipe:
    """Of what is written to `output`, somebody may read some."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self.output = Output(self._writer)

    def fill(self) -> int:
        """Let nothing more go in; how many bytes are in there."""
        os.set_blocking(self._writer, False)
        size = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                size += os.write(self._writer, bytes(SIZE))
        os.set_blocking(self._writer, True)
        return size

    def read(self, size: int) -> bytes:
        """So many bytes, once they are there."""
        found = b""
        while len(found) < size:
            found += os.read(self._reader, size - len(found))
        return found

    def lines(self) -> Iterator[str]:
        """What comes."""
        with os.fdopen(os.dup(self._reader)) as lines:
            for line in lines:
                yield line.rstrip("\n")

    def close_reader(self) -> None:
        os.close(self._reader)


@pytest.fixture
def pipe() -> Pipe:
    """Its ends stay open: the thread may be writing."""
    return Pipe()


@pytest.fixture
def logger(pipe: Pipe) -> Iterator[logging.Logger]:
    """The one of the output, written to the pipe."""
    logger, handler = logging.getLogger("pushline.output"), logging.StreamHandler(pipe.output)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_texts_are_written_in_their_order_and_as_they_are(pipe: Pipe) -> None:
    texts = [f"{number} é \ud800\n" for number in range(100)]
    for text in texts:
        pipe.output.write(text)
    expected = "".join(texts).encode(errors="backslashreplace")
    assert pipe.read(len(expected)) == expected


def test_who_writes_does_not_wait_and_what_waits_is_bounded_and_counted(
    pipe: Pipe, logger: logging.Logger
) -> None:
    filled = pipe.fill()
    for number in range(MOST + 5):
        pipe.output.write(f"{number}\n")
    pipe.read(filled)
    lines = pipe.lines()
    assert [next(lines) for _ in range(MOST)] == [str(number) for number in range(MOST)]
    assert next(lines) == "5 log lines were left out: nobody read those before them"
    pipe.output.write("again\n")
    assert next(lines) == "again"
    pipe.output.settle()


def test_what_is_left_out_is_told_again_the_next_time(pipe: Pipe, logger: logging.Logger) -> None:
    for _ in range(2):
        test_who_writes_does_not_wait_and_what_waits_is_bounded_and_counted(pipe, logger)


def test_settling_waits_for_what_is_read_and_not_long_for_what_is_not(pipe: Pipe) -> None:
    pipe.output.write("read")
    pipe.output.settle()
    os.set_blocking(pipe._reader, False)
    assert pipe.read(4) == b"read"
    pipe.fill()
    pipe.output.write("unread")
    began = time.monotonic()
    pipe.output.settle()
    assert time.monotonic() - began < PATIENCE * 2


def test_a_long_text_is_written_in_all_its_parts(pipe: Pipe) -> None:
    pipe.output.write("x" * (1 << 20))
    assert pipe.read(1 << 20) == b"x" * (1 << 20)


def test_who_reads_may_go(pipe: Pipe) -> None:
    pipe.close_reader()
    for _ in range(3):
        pipe.output.write("nobody reads this\n")
    pipe.output.settle()
    assert not pipe.output._kept


def test_without_a_text_there_is_no_thread(pipe: Pipe) -> None:
    before = threading.active_count()
    pipe.output.settle()
    assert threading.active_count() == before
    pipe.output.write("\n")
    assert threading.active_count() == before + 1


FORKING = """
import logging, os, sys
from pushline import logs
logs.configure("info")
log = logging.getLogger("test")
log.info("parent")
if os.fork() == 0:
    log.info("child")
    %s
os.wait()
log.info("parent at its end")
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit()"])
def test_a_process_that_was_forked_writes_what_it_logs_and_the_end_loses_nothing(end: str) -> None:
    program = FORKING % end
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = [line.partition("INFO ")[2].strip() for line in done.stderr.splitlines()]
    assert sorted(said) == ["child", "parent", "parent at its end"]
    assert said[-1] == "parent at its end"
