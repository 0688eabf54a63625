"""The file, the environment and the flags: what is said when one of them cannot be read."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pushline.config import KEYS
from pushline.config.sources import Name, from_environment, from_file, from_flags
from pushline.errors import ConfigError

SECTIONS = (
    "[websocket], [text], [http], [auth], [app], [gateway], [register], [worker], [serve], "
    "[broker], [heartbeat], [limits], [shutdown] and [log]"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushline.toml"


def refused_file(path: Path, content: str | bytes | None = None) -> str:
    """What is said of it, without its name."""
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as refused:
        from_file(path, KEYS)
    where, _, what = str(refused.value).partition(": ")
    assert where == str(path)
    return what


def refused_variables(environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        from_environment(environ, KEYS)
    return str(refused.value)


def refused_flags(flags: Mapping[Name, str]) -> str:
    with pytest.raises(ConfigError) as refused:
        from_flags(flags, KEYS)
    return str(refused.value)


# --- the file itself --------------------------------------------------------------------------


def test_a_file_gives_what_it_sets_and_nothing_else(path: Path) -> None:
    path.write_text("[heartbeat]\nping = 7\n[text]\nbroadcast = false\n")
    assert from_file(path, KEYS) == {("heartbeat", "ping"): 7.0, ("text", "broadcast"): False}


@pytest.mark.parametrize("content", [b"", b"# nothing\r\n", b"\xef\xbb\xbf[text]\r\n"])
def test_a_file_may_set_nothing_and_come_from_windows(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert from_file(path, KEYS) == {}


def test_a_missing_file(path: Path) -> None:
    assert refused_file(path) == "cannot be read: No such file or directory"


def test_a_directory(path: Path) -> None:
    path.mkdir()
    assert refused_file(path) == "cannot be read: Is a directory"


def test_a_file_that_may_not_be_read(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # refuses to be read even for root
    assert refused_file(path).startswith("cannot be read: ")


def test_a_name_that_would_break_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        from_file(tmp_path / "a\nb\udc80", KEYS)
    assert str(refused.value).startswith(f"{tmp_path}/a\\nb\\udc80: cannot be read")


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("[text]\nsecret = hunter2\n", "(at line 2, column 10)"),
        ("[text]\nlisten\n", "(at line 2, column 7)"),
        ('[text]\nsecret = "hunter2\n', "(at line 2, column 18)"),
        ('[text]\nsecret = "hunter2"\nsecret = "hunter2"\n', "(at line 3, column 19)"),
        ("[text]\n[text]\n", "(at line 2, column 6)"),
        ("[text", "(at end of document)"),
    ],
)
def test_a_syntax_error_has_its_line_and_no_secret(path: Path, content: str, where: str) -> None:
    what = refused_file(path, content)
    assert what.startswith("not valid TOML: ")
    assert what.endswith(where)
    assert "hunter" not in what


def test_a_file_that_is_not_utf8(path: Path) -> None:
    what = refused_file(path, b'# Stra\xc3\x9fe\n[log]\nlevel = "\xff"\n')
    assert what == "not valid TOML: not UTF-8 (at line 3)"


@pytest.mark.parametrize("deep", ["[" * 100_000, "[" * 100_000 + "]" * 100_000])
def test_a_file_nested_too_deep(path: Path, deep: str) -> None:
    assert refused_file(path, f"[text]\nlisten = {deep}\n") == "not valid TOML: nested too deep"


def test_a_number_of_too_many_digits(path: Path) -> None:
    what = refused_file(path, f"[limits]\nheaders = {'9' * 5000}\n")
    assert what.startswith("not valid TOML: ")
    assert len(what.splitlines()) == 1


# --- unknown names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("[websockets]\n", "unknown section [websockets]; did you mean [websocket]?"),
        ("[mqtt]\n", f"unknown section [mqtt]; the sections are {SECTIONS}"),
        ("listen = 1\n", f"listen stands outside of a section; the sections are {SECTIONS}"),
        ("text = 1\n", f"text stands outside of a section; the sections are {SECTIONS}"),
        ("[[text]]\n", "text is one section, not a list of them: write [text]"),
        ("[text]\nmaxline = 1\n", "unknown key text.maxline; did you mean text.max_line?"),
        ("[text]\n'a\\b\nc' = 1\n", "not valid TOML: "),
        ('[log]\n"a\\nb" = 1\n', "unknown key log.a\\nb; [log] has level"),
        ("[http.listen]\nx = 1\n", "http.listen must be a list of addresses, "),
        ("[http]\nTLS = 1\n", "unknown key http.TLS; [http] has listen and allow_public"),
    ],
)
def test_an_unknown_name_in_a_file(path: Path, content: str, what: str) -> None:
    assert refused_file(path, content).startswith(what)


@pytest.mark.parametrize(
    ("variable", "what"),
    [
        ("PUSHLINE_AUTH_SECERT", "did you mean PUSHLINE_AUTH_SECRET?"),
        ("PUSHLINE_WEBSOKET_LISTEN", "did you mean PUSHLINE_WEBSOCKET_LISTEN?"),
        ("PUSHLINE_auth_secret", "the names are PUSHLINE_SECTION_KEY, as in PUSHLINE_AUTH_SECRET"),
        ("PUSHLINE_XYZ", "the names are PUSHLINE_SECTION_KEY, as in PUSHLINE_AUTH_SECRET"),
        ("PUSHLINE_", "the names are PUSHLINE_SECTION_KEY, as in PUSHLINE_AUTH_SECRET"),
    ],
)
def test_an_unknown_variable(variable: str, what: str) -> None:
    said = refused_variables({variable: "hunter2"})
    assert said == f"environment variable {variable}: no such setting; {what}"


def test_an_unknown_name_from_the_command_line() -> None:
    assert (
        refused_flags({("text", "listens"): ""})
        == "command line: unknown key text.listens; did you mean text.listen?"
    )
    assert (
        refused_flags({("tekst", "listen"): ""})
        == "command line: unknown section [tekst]; did you mean [text]?"
    )


# --- the environment --------------------------------------------------------------------------


def test_every_key_has_its_variable() -> None:
    variables = {key.variable for key in KEYS.values()}
    assert len(variables) == len(KEYS)
    assert {"PUSHLINE_AUTH_SECRET", "PUSHLINE_TEXT_TRUSTED_NETWORKS"} <= variables


def test_variables_of_others_are_left_alone() -> None:
    assert (
        from_environment({"PUSH": "", "PATH": "", "MY_PUSHLINE_X": "", "pushline_x": ""}, KEYS)
        == {}
    )


def test_the_variables_of_a_kubernetes_service_are_no_settings() -> None:
    environ = {
        "PUSHLINE_SERVICE_HOST": "10.0.0.1",
        "PUSHLINE_SERVICE_PORT": "1234",
        "PUSHLINE_PORT": "tcp://10.0.0.1:1234",
        "PUSHLINE_PORT_1234_TCP_ADDR": "10.0.0.1",
        "PUSHLINE_TEXT_SERVICE_HOST": "10.0.0.2",
        "PUSHLINE_TEXT_PORT": "tcp://10.0.0.2:5678",
        "PUSHLINE_TEXT_LISTEN": "127.0.0.1:1",
    }
    assert list(from_environment(environ, KEYS)) == [("text", "listen")]


def test_without_such_a_service_its_names_are_unknown() -> None:
    assert "no such setting" in refused_variables({"PUSHLINE_PORT": "1234"})
    assert "no such setting" in refused_variables(
        {"PUSHLINE_PORT": "1234", "REDIS_SERVICE_HOST": "10.0.0.1"}
    )


def test_a_variable_that_is_not_utf8_is_one_line() -> None:
    text = os.fsdecode(b"/etc/\xff.pem")
    said = refused_variables({"PUSHLINE_WEBSOCKET_KEY": text})
    assert said.endswith('must be a path, or "" for none, not "/etc/\\udcff.pem"')
    assert said.isprintable()


# --- flags ------------------------------------------------------------------------------------


def test_a_wrong_flag_is_named_as_it_was_typed() -> None:
    assert refused_flags({("auth", "mode"): "closed"}) == (
        '--auth: auth.mode must be "open", "token", "app" or "" (automatic), not "closed"'
    )
    assert refused_flags({("websocket", "listen"): "1234"}).startswith(
        "--websocket: websocket.listen must be"
    )


def test_a_key_without_a_flag_of_its_own_comes_from_the_command_line() -> None:
    assert from_flags({("heartbeat", "ping"): "0.5"}, KEYS) == {("heartbeat", "ping"): 0.5}
    assert refused_flags({("heartbeat", "ping"): "x"}).startswith(
        "command line: heartbeat.ping must"
    )
