"""The table of results, for a terminal and for docs/performance.md."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benchmarks.measure import Measure, Result

HEADINGS = ("Measure", "Pushline", "Floor", "Result", "From - to", "Target", "")
Row = tuple[str, ...]


def text_table(results: Sequence[Result]) -> str:
    """Columns aligned: words to the left, numbers to the right."""
    rows = [HEADINGS, *(_row(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_aligned(row, widths) for row in rows)


def markdown(results: Sequence[Result], command: str) -> str:
    """The table, what it was measured on, and the loads."""
    rows = [HEADINGS, ("---", *["---:"] * 5, "---"), *(_row(result) for result in results)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    loads = "\n".join(_loads(result.measure) for result in results)
    return f"{_conditions(results, command)}\n\n{table}\n\n```sh\n{loads}\n```"


def _conditions(results: Sequence[Result], command: str) -> str:
    runs = min(len(result.samples) for result in results)
    return (
        f"`{command}` on {machine()}. Median of {runs}, servers on one core, clients on another; "
        "KB and MB of 1,024."
    )


def machine() -> str:
    """What the numbers depend on."""
    kernel = f"Linux {'.'.join(platform.release().split('.')[:2])}"
    python = f"Python {platform.python_version()}, uvloop {version('uvloop')}"
    return f"{_processor()}, {kernel}, {python}"


def _row(result: Result) -> Row:
    measure, values = result.measure, result.values
    return (
        measure.title,
        _part([sample.server for sample in result.samples], measure.part),
        _part([sample.floor for sample in result.samples], measure.part),
        f"{number(median(values))} {measure.unit}".strip(),
        f"{number(min(values))} - {number(max(values))}",
        f"{measure.target} {measure.unit}".strip(),
        _verdict(result),
    )


def _part(figures: Sequence[float | None], unit: str) -> str:
    known = [figure for figure in figures if figure is not None]
    return f"{number(median(known))} {unit}" if known else ""


def _verdict(result: Result) -> str:
    lost = f", {result.lost:,} lost" if result.lost else ""
    return ("MISSED" if result.missed else "ok") + lost


def number(value: float) -> str:
    """Three digits or more, as many as mean something."""
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def _aligned(row: Row, widths: Sequence[int]) -> str:
    first, *numbers, verdict = row
    cells = [f"{number:>{width}}" for number, width in zip(numbers, widths[1:-1], strict=True)]
    return "  ".join([f"{first:<{widths[0]}}", *cells, verdict]).rstrip()


def _loads(measure: Measure) -> str:
    return "\n".join([f"# {measure.name}", *map(str, measure.how)])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
