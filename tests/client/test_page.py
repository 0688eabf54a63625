"""docs/back-ends.md: what it shows is tried as it stands, but for the port."""

import ast
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pushline.client
from pushline import errors
from tests.client.tab import browser, received
from tests.server import Server

PAGE = Path(__file__).parents[2].joinpath("docs", "back-ends.md").read_text()
ADDRESS = "127.0.0.1:5678"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with Server() as running:
        yield running


async def run(running: Server, *command: str) -> str:
    """What a program prints that finds the server where it is."""
    process = await asyncio.create_subprocess_exec(
        *(part.replace(ADDRESS, running.text) for part in command),
        env={"PUSHLINE_TEXT_LISTEN": running.text},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_two_lines_of_python_push(running: Server) -> None:
    async with browser(running, "42") as tab:
        await run(running, sys.executable, "-c", blocks("python")[0])
        assert await received(tab) == '{"uid":"42","percent":"88%"}'


async def test_the_script_says_how_many_were_there(running: Server) -> None:
    script = next(block for block in blocks("python") if "push_many" in block)
    async with browser(running, "2") as tab:
        assert await run(running, sys.executable, "-c", script) == "1 of 3 were there\n"
        assert await received(tab) == '{"uid":"2","invoice":"ready"}'


async def test_four_lines_of_php_push(running: Server) -> None:
    (program,) = blocks("php")
    assert len(program.splitlines()) == 4
    assert await run(running, "/usr/bin/php", "-r", program) == "fail\n"
    async with browser(running, "uid1") as tab:
        assert await run(running, "/usr/bin/php", "-r", program) == "ok\n"
        assert await received(tab) == '{"uid":"uid1","percent":"88%"}'


def test_every_python_block_is_python() -> None:
    for block in blocks("python"):
        ast.parse(block)


def test_every_error_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `(\w+Error)`", PAGE, re.MULTILINE))
    assert {name for name in pushline.client.__all__ if name.endswith("Error")} <= named | {
        "ClientError"
    }
    assert all(issubclass(getattr(errors, name), errors.PushlineError) for name in named)
