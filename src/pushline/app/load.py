"""Finds the application that the command line names, as in `chat:app`."""

import importlib
import importlib.util
import logging
import sys
from pathlib import Path

from pushline.app.application import App
from pushline.errors import AppError

log = logging.getLogger(__name__)


def load_app(name: str) -> App:
    """The App at `name`, a MODULE:NAME; the current directory is the first place to look.

    Raises AppError, which says what is missing; what the module itself raises is logged before.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    if not _found(module_name):
        raise AppError(f"there is no module {module_name!r} in {here}, nor among those installed")
    module = _imported(module_name)
    app: object = getattr(module, attribute, None)
    if not isinstance(app, App):
        raise AppError(f"{name} is no App: {module_name} should have `{attribute} = App()`")
    return app


def _found(module_name: str) -> bool:
    try:
        return importlib.util.find_spec(module_name) is not None
    except (ImportError, ValueError):
        return False


def _imported(module_name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except AppError:
        raise
    except (Exception, SystemExit) as error:
        log.exception("%s cannot be imported", module_name)
        raise AppError(f"{module_name} cannot be imported: {_told(error)}") from error


def _told(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.msg}"
    return repr(error)
