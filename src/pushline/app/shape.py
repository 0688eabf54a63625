"""Whether a function can be called as its event or timer will call it."""

import inspect
from collections.abc import Callable

from pushline.errors import AppError


def check_shape(function: Callable[..., object], where: str, *arguments: str) -> None:
    """Raises AppError unless `function` takes these arguments and is no generator."""
    wanted = f"{where} calls a function as f({', '.join(arguments)})"
    if not callable(function):
        raise AppError(f"{wanted}, not {function!r:.60}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AppError(f"{wanted}; {_name(function)} is a generator, which would never run")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise AppError(f"{wanted}, and {_name(function)} would fail: {error}") from None
    except ValueError:
        return  # a function in C that does not say what it takes


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", repr(function))
