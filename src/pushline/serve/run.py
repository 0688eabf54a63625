"""Running the server as its settings say."""

from collections.abc import Mapping
from pathlib import Path

from pushline.config import load
from pushline.config.sources import Name
from pushline.logs import configure
from pushline.serve.alone import serve
from pushline.serve.descriptors import raise_limit
from pushline.serve.together import serve_together
from pushline.supervise.supervisor import task_of


def run_server(path: Path | None, environ: Mapping[str, str], flags: Mapping[Name, str]) -> int:
    """Serve until SIGTERM or Ctrl-C, then drain; a second one ends at once.

    The arguments are those of `config.load`. Raises ConfigError; AppError where an application, or
    one of several processes, does not start.
    """
    config = load(path, environ, flags)
    configure(config.log.level)
    descriptors = raise_limit()
    if config.serve.workers > 1:
        return serve_together(config, task_of(path, flags), environ, descriptors)
    return serve(config, descriptors)
