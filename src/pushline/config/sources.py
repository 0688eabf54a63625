"""Where settings come from: the TOML file, the environment, the command line's flags."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from pushline.config.values import Kind, RefusedError, listed, quoted
from pushline.errors import ConfigError

PREFIX = "PUSHLINE_"
LONGEST_SHOWN = 60
"""Characters of a wrong value that an error shows; what is longer may be a key, pasted amiss."""

Name = tuple[str, str]
"""A section and a key in it."""
Values = dict[Name, Any]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it may be, what it is for, and where besides the file it can be set."""

    section: str
    name: str
    kind: Kind[Any]
    default: Any
    doc: str
    flag: str
    metavar: str

    @property
    def dotted(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.section}_{self.name}".upper()


Keys = Mapping[Name, Key]


def from_file(path: Path, keys: Keys) -> Values:
    """The values of a TOML file; raises ConfigError."""
    values = {}
    for section, table in _tables(path, keys):
        for name, value in table.items():
            key = _key(path, (section, name), keys)
            values[section, name] = _read(path, key, value)
    return values


def from_environment(environ: Mapping[str, str], keys: Keys) -> Values:
    """The values of the variables with our prefix; raises ConfigError."""
    links = _service_links(environ)
    variables = {key.variable: key for key in keys.values()}
    values = {}
    for variable, text in environ.items():
        if variable.startswith(PREFIX) and not variable.startswith(links):
            where = f"environment variable {variable}"
            key = variables.get(variable) or _unknown_variable(where, variable, variables)
            values[key.section, key.name] = _read_text(where, key, text)
    return values


def from_flags(flags: Mapping[Name, str], keys: Keys) -> Values:
    """The values of the command line; raises ConfigError."""
    values = {}
    for name, text in flags.items():
        key = _key("command line", name, keys)
        values[name] = _read_text(key.flag or "command line", key, text)
    return values


def _key(where: object, name: Name, keys: Keys) -> Key:
    return keys.get(name) or _unknown_key(where, *name, keys)


def _service_links(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What Kubernetes puts into every pod for a Service named `pushline` or `pushline-text`."""
    hosts = (name for name in environ if name.endswith("_SERVICE_HOST"))
    services = [host.removesuffix("_SERVICE_HOST") for host in hosts]
    return tuple(f"{service}_{part}" for service in services for part in ("SERVICE_", "PORT"))


# --- the file ---------------------------------------------------------------------------------


def _tables(path: Path, keys: Keys) -> Iterator[tuple[str, dict[str, object]]]:
    sections = _sections(keys)
    for name, table in _parsed(path).items():
        if name in sections and isinstance(table, list):
            raise error_at(path, f"{name} is one section, not a list of them: write [{name}]")
        if not isinstance(table, dict):
            raise error_at(path, f"{name} stands outside of a section; {_sections_are(sections)}")
        if name not in sections:
            _unknown_section(path, name, sections)
        yield name, table


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_text(path))
    except RecursionError:
        raise error_at(path, "not valid TOML: nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, and int's for thousands of digits
        raise error_at(path, f"not valid TOML: {error}") from None


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise error_at(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise error_at(path, f"not valid TOML: not UTF-8 (at line {line})") from None


# --- one value --------------------------------------------------------------------------------


def _read(where: object, key: Key, value: object) -> Any:
    try:
        return key.kind.read(value)
    except RefusedError as error:
        shown = "" if key.kind.secret else _shown(error.value)
        raise error_at(where, f"{key.dotted} must be {key.kind.allowed}{shown}") from None


def _read_text(where: str, key: Key, text: str) -> Any:
    return _read(where, key, key.kind.from_text(text))


def _shown(value: object) -> str:
    shown = _toml(value)
    return f", not {shown}" if len(shown) <= LONGEST_SHOWN else ""


def _toml(value: object) -> str:
    match value:
        case str():
            return quoted(value)
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 2**63:  # str() refuses thousands of digits
            return "a number beyond 64 bits"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case _:
            return str(value)


# --- what is wrong ----------------------------------------------------------------------------


def _unknown_section(where: object, section: str, sections: Words) -> NoReturn:
    near = _nearest(section, sections)
    hint = f"did you mean [{near}]?" if near else _sections_are(sections)
    raise error_at(where, f"unknown section [{section}]; {hint}")


def _unknown_key(where: object, section: str, name: str, keys: Keys) -> NoReturn:
    if section not in _sections(keys):
        _unknown_section(where, section, _sections(keys))
    names = tuple(key.name for key in keys.values() if key.section == section)
    near = _nearest(name, names)
    hint = f"did you mean {section}.{near}?" if near else f"[{section}] has {_all(names)}"
    raise error_at(where, f"unknown key {section}.{name}; {hint}")


def _unknown_variable(where: str, variable: str, variables: Iterable[str]) -> NoReturn:
    # Without the prefix, which would make them all alike.
    names = [name.removeprefix(PREFIX) for name in variables]
    near = _nearest(variable.removeprefix(PREFIX), names)
    rule = f"the names are {PREFIX}SECTION_KEY, as in {PREFIX}AUTH_SECRET"
    raise error_at(where, f"no such setting; {f'did you mean {PREFIX}{near}?' if near else rule}")


def _nearest(name: str, names: Iterable[str]) -> str:
    return next(iter(get_close_matches(name, names, n=1)), "")


def _sections(keys: Keys) -> Words:
    return tuple(dict.fromkeys(section for section, _ in keys))


def _sections_are(sections: Words) -> str:
    return f"the sections are {_all(tuple(f'[{section}]' for section in sections))}"


def _all(words: Words) -> str:
    return listed(words, " and ")


def error_at(where: object, what: str) -> ConfigError:
    """On one line, whatever the file's names and values hold."""
    line = f"{where}: {what}"
    return ConfigError("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
