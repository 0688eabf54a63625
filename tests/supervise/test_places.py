"""Where the control sockets of workers and servers are, and what is not one."""

import os
import socket
from pathlib import Path

import pytest

from pushline.config import Config, read
from pushline.errors import ConfigError, UnavailableError
from pushline.supervise.control import reload
from pushline.supervise.places import of_server, of_worker, to_reload


def of(**settings: str) -> Config:
    return read(None, {f"PUSHLINE_{name}": value for name, value in settings.items()}, {})


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for this user's sockets, with the beginning of their names."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / f"pushline-{os.getuid()}-"


def test_it_is_in_the_users_runtime_directory_under_the_names_of_both(runtime: Path) -> None:
    assert of_worker(of(APP_LOAD="shop.chat:app")).path == Path(f"{runtime}shop.chat:app.sock")
    assert of_server(of(APP_LOAD="shop.chat:app")).path == Path(f"{runtime}shop.chat:app.sock")


def test_a_server_without_an_application_has_its_port_for_browsers(runtime: Path) -> None:
    config = of(WEBSOCKET_LISTEN="0.0.0.0:8080,127.0.0.1:80")
    assert of_server(config).path == Path(f"{runtime}serve-8080.sock")


def test_without_one_it_is_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert of_worker(of(APP_LOAD="chat:app")).path.parent == tmp_path


def test_it_is_where_it_is_set() -> None:
    both = of(WORKER_CONTROL="/run/chat", SERVE_CONTROL="/run/server", APP_LOAD="chat:app")
    assert of_worker(both).path == Path("/run/chat")
    assert of_server(both).path == Path("/run/server")


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    long = f"/{'x' * 107}"
    with pytest.raises(ConfigError, match=r"set worker\.control"):
        of_worker(of(WORKER_CONTROL=long))
    with pytest.raises(ConfigError, match=r"set serve\.control"):
        of_server(of(SERVE_CONTROL=long))


def test_what_is_reloaded_is_the_server_where_the_settings_have_one(runtime: Path) -> None:
    worker, server = {"WORKER_CONTROL": "/run/chat"}, {"SERVE_CONTROL": "/run/server"}
    assert to_reload(of(**worker)).path == Path("/run/chat")
    assert to_reload(of(**server)).path == Path("/run/server")
    assert to_reload(of(**worker, **server)).path == Path("/run/server")
    assert to_reload(of(SERVE_WORKERS="2")).path == Path(f"{runtime}serve-1234.sock")


def test_the_only_one_that_runs_needs_no_name(runtime: Path) -> None:
    with pytest.raises(UnavailableError, match="no worker of yours runs here, and no server"):
        to_reload(of())
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as worker:
        for plug, name in ((server, "serve-1234"), (worker, "chat:app")):
            plug.bind(f"{runtime}{name}.sock")
        server.listen()  # what was left behind is there, too
        assert to_reload(of()).path == Path(f"{runtime}serve-1234.sock")
        worker.listen()
        with pytest.raises(ConfigError, match="name one: chat:app, serve-1234"):
            to_reload(of())


def test_where_nobody_listens_there_is_no_worker(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no worker runs at"):
        reload(of(WORKER_CONTROL=str(tmp_path / "none")))
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="no worker runs at"):
        reload(of(WORKER_CONTROL=str(tmp_path / "file")))
    with pytest.raises(UnavailableError, match="no server runs at"):
        reload(of(SERVE_CONTROL=str(tmp_path / "none")))
