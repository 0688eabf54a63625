"""The settings in force: read from a file, the environment and flags, checked, described."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from pushline.config.rules import check
from pushline.config.sections import Config
from pushline.config.sources import Key, Name, error_at, from_environment, from_file, from_flags
from pushline.errors import ConfigError

SECTIONS: dict[str, type] = {section.name: type(section.default) for section in fields(Config)}
KEYS: dict[Name, Key] = {
    (section, key.name): Key(section, key.name, default=key.default, **key.metadata)
    for section, its_type in SECTIONS.items()
    for key in fields(its_type)
}


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> Config:
    """The configuration in force for a server, as `read` has it, but checked.

    Raises ConfigError: one line that says what is wrong, and in which file if there is one.
    """
    config = read(path, environ, flags)
    try:
        check(config)
    except ConfigError as error:
        raise (error_at(path, str(error)) if path else error) from None
    return config


def read(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> Config:
    """What is set: `flags` over `environ` over the file at `path` over defaults.

    `flags` are texts by section and key. Raises ConfigError for a wrong key or value.
    """
    values = from_file(path, KEYS) if path is not None else {}
    values |= from_environment(environ, KEYS) | from_flags(flags, KEYS)
    return _config(values)


def _config(values: Mapping[Name, Any]) -> Config:
    given: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for (section, name), value in values.items():
        given[section][name] = value
    return Config(**{section: SECTIONS[section](**its) for section, its in given.items()})


def describe(config: Config) -> str:
    """Everything in force as a TOML file, with what each key is for; secrets are masked."""
    in_force = replace(config, auth=replace(config.auth, mode=config.auth_mode))
    return "\n".join(_described(in_force, section) for section in SECTIONS)


def _described(config: Config, section: str) -> str:
    values = getattr(config, section)
    keys = [key for key in KEYS.values() if key.section == section]
    lines = [_line(key, getattr(values, key.name)) for key in keys]
    return "\n".join([f"[{section}]", *lines, ""])


def _line(key: Key, value: object) -> str:
    unit = f"{key.kind.unit}: " if key.kind.unit else ""
    return f"{f'{key.name} = {key.kind.write(value)}':<34}  # {unit}{key.doc}"
