"""The tables of `docs/configuration.md`, made of the settings in `config/sections.py`.

    python -m pushline.config.page docs/configuration.md

makes all that follows the page's MARK anew; what precedes it is written by hand.
"""

import sys
from inspect import cleandoc
from pathlib import Path

from pushline.config.settings import KEYS, SECTIONS
from pushline.config.sources import Key

MARK = (
    "<!-- From here on made from src/pushline/config/sections.py: "
    "python -m pushline.config.page docs/configuration.md -->\n"
)
_HEAD = "| Key | Default | Allowed | What it is |\n|---|---|---|---|\n"


def renewed(page: str) -> str:
    """`page` with its tables as `config/sections.py` has the settings now."""
    return page.partition(MARK)[0] + MARK + "".join(map(_section, SECTIONS))


def _section(section: str) -> str:
    rows = (_row(key) for key in KEYS.values() if key.section == section)
    return (
        f"\n## [{section}]\n\n{cleandoc(SECTIONS[section].__doc__ or '')}\n\n{_HEAD}{''.join(rows)}"
    )


def _row(key: Key) -> str:
    flag = f" Flag: `{key.flag}`." if key.flag else ""
    default = key.kind.write(key.default)
    return f"| `{key.name}` | `{default}` | {key.kind.allowed} | {key.doc}{flag} |\n"


def main() -> None:
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
