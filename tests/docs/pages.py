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
