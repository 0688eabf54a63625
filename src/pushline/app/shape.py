"""Whether a function can be called as its event or timer will call it."""

import functools
import inspect
from collections.abc import Callable

from pushline.errors import AppError


def check_shape(function: Callable[..., object], where: str, *arguments: str) -> None:
    """Raises AppError unless `function` takes these arguments and is no generator."""
    wanted = f"{where} calls a function as f({', '.join(arguments)})"
    if not callable(function):
        raise AppError(f"{wanted}, not {function!r:.60}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AppError(
            f"{wanted}; {name_of_function(function)} is a generator, which would never run"
        )
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise AppError(f"{wanted}, and {name_of_function(function)} would fail: {error}") from None
    except ValueError:
        return  # a function in C that does not say what it takes


def name_of_function(function: Callable[..., object]) -> str:
    """What its author calls it."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", repr(function))
