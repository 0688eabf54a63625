"""Where a worker's control socket is, and what is not one."""

import os
from pathlib import Path

import pytest

from pushline.config import Config, read
from pushline.errors import ConfigError, UnavailableError
from pushline.worker.control import path_of, reload


def of(**settings: str) -> Config:
    return read(None, {f"PUSHLINE_{name}": value for name, value in settings.items()}, {})


def test_it_is_in_the_users_runtime_directory_under_the_names_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    expected = tmp_path / f"pushline-{os.getuid()}-shop.chat:app.sock"
    assert path_of(of(APP_LOAD="shop.chat:app")) == expected


def test_without_one_it_is_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert path_of(of(APP_LOAD="chat:app")).parent == tmp_path


def test_it_is_where_it_is_set() -> None:
    assert path_of(of(WORKER_CONTROL="/run/chat.sock", APP_LOAD="chat:app")) == Path(
        "/run/chat.sock"
    )


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"set worker\.control"):
        path_of(of(WORKER_CONTROL=f"/{'x' * 107}"))


def test_where_nobody_listens_there_is_no_worker(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no worker runs at"):
        reload(of(WORKER_CONTROL=str(tmp_path / "none")))
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="no worker runs at"):
        reload(of(WORKER_CONTROL=str(tmp_path / "file")))
