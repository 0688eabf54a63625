"""The pages of docs/, and what they tell a reader to save and to run."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

Files = list[tuple[str, str]]
"""Names and contents."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w/]+\.(?:py|html))`[^`]*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The contents of every code block in a language."""
    return [content for kind, content in _BLOCK.findall(text) if kind == language]


def section(text: str, heading: str) -> str:
    """What stands under a heading, until the next of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", text, re.MULTILINE)
    assert found, f"there is no heading {heading!r}"
    rest = text[found.end() :]
    after = re.search(rf"^#{{1,{len(found[1])}}} ", _BLOCK.sub(_blanked, rest), re.MULTILINE)
    return rest[: after.start()] if after else rest


def headings(text: str) -> list[str]:
    """Of all levels."""
    return re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), re.MULTILINE)


def commands(text: str) -> list[str]:
    """The lines of every `sh` block, without their comments."""
    lines = "".join(blocks(text, "sh")).splitlines()
    return [line.partition(" #")[0].rstrip() for line in lines]


def files(text: str) -> Files:
    """Every file to be saved, in the order of the page; a name may come again."""
    return _FILE.findall(text)


def rows(text: str) -> list[list[str]]:
    """The cells of every table's rows, heads too."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(text: str) -> list[str]:
    """What stands in `code`, outside of blocks."""
    return _CODE.findall(_BLOCK.sub("", text))


def _blanked(block: re.Match[str]) -> str:
    """As long, with nothing in it that looks like a heading."""
    return " " * len(block[0])
