"""docs/configuration.md: its tables are those of config/sections.py, its examples can be used."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pushline.config import KEYS, load
from pushline.config.page import MARK, renewed
from pushline.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_page_has_the_settings_as_they_are() -> None:
    page = PAGE.read_text("utf-8")
    assert page.count(MARK) == 1
    assert page == renewed(page)


def test_the_tables_have_every_key_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", renewed(""), re.MULTILINE)
    assert rows == [key.name for key in KEYS.values()]


def test_a_cell_holds_no_bar() -> None:
    rows = [line for line in renewed("").splitlines() if line.startswith("| `")]
    assert {row.count("|") for row in rows} == {5}


def test_the_command_makes_the_tables_anew_and_keeps_what_was_written_by_hand(
    tmp_path: Path,
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Wörds\n{MARK}old tables\n", "utf-8")
    subprocess.run([sys.executable, "-m", "pushline.config.page", page], check=True)
    assert page.read_text("utf-8") == renewed(f"# Wörds\n{MARK}")
    assert page.read_text("utf-8").startswith(f"# Wörds\n{MARK}\n## [websocket]\n")


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    (example,) = blocks("toml")
    path = tmp_path / "pushline.toml"
    path.write_text(example)
    config = load(path, {}, {})
    assert config.auth_mode == "token"
    assert not config.websocket.listen[0].is_loopback


def test_the_errors_are_those_that_are_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pushline.toml").write_text("[heartbeat]\npings = 1\n")
    shown = []
    for path, environ in ((Path("pushline.toml"), {}), (None, {"PUSHLINE_LIMITS_QUEUE": "1 MB"})):
        with pytest.raises(ConfigError) as refused:
            load(path, environ, {})
        shown.append(str(refused.value))
    (errors,) = blocks("text")
    assert errors.replace("/etc/", "").splitlines() == shown


def test_the_variables_that_the_page_names_are_settings_or_named_as_none() -> None:
    named = set(re.findall(r"PUSHLINE_[A-Z_]+[A-Z]", PAGE.read_text("utf-8")))
    variables = {key.variable for key in KEYS.values()}
    assert named - variables == {"PUSHLINE_SERVICE_HOST", "PUSHLINE_PORT"}


def test_the_keys_that_the_page_names_are_settings() -> None:
    prose = PAGE.read_text("utf-8").partition(MARK)[0]
    sections = "|".join({section for section, _ in KEYS})
    named = set(re.findall(rf"`(({sections})\.(\w+))", prose))
    assert named
    assert {(section, name) for _, section, name in named} <= set(KEYS)
