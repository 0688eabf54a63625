"""`chat:app` on the command line: what is found, and what is said where it is not."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushline import App, AppError
from pushline.app.load import load_app


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


def test_the_current_directory_comes_first(here: Path) -> None:
    (here / "colorsys.py").write_text("from pushline import App\napp = App()\n")
    assert isinstance(load_app("colorsys:app"), App)
    assert sys.path[0] == str(here)


def test_a_module_of_a_package_is_found(here: Path) -> None:
    (here / "shop").mkdir()
    (here / "shop" / "live.py").write_text("from pushline import App\nmain = App()\n")
    assert isinstance(load_app("shop.live:main"), App)


@pytest.mark.parametrize(
    ("source", "name", "said"),
    [
        ("", "nowhere:app", "there is no module 'nowhere'"),
        ("", "made.deeper:app", "there is no module 'made.deeper'"),
        ("", "made:app", "should have `app = App()`"),
        ("app = 1", "made:app", "made:app is no App"),
        ("import nothing_like_it", "made:app", "No module named 'nothing_like_it'"),
        ("1 / 0", "made:app", "ZeroDivisionError"),
        ("raise SystemExit(3)", "made:app", "SystemExit(3)"),
        ("def f(:", "made:app", "/made.py:1: invalid syntax"),
        (
            "from pushline import App\napp = App()\n@app.every(-1)\ndef f(): ...",
            "made:app",
            "every",
        ),
    ],
)
def test_what_is_wrong_is_said(here: Path, source: str, name: str, said: str) -> None:
    (here / "made.py").write_text(source)
    with pytest.raises(AppError) as error:
        load_app(name)
    assert said in str(error.value)


def test_the_traceback_of_a_module_that_fails_is_logged(
    here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (here / "made.py").write_text("def deep():\n    return 1 / 0\ndeep()\n")
    with pytest.raises(AppError):
        load_app("made:app")
    assert "in deep" in caplog.text
