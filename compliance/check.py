"""Reads the report of Autobahn's fuzzing client: check.py REPORTS PATTERN[,PATTERN...]

Prints what became of each group of cases. Exit code 1 unless every case that was to run passed,
and at least one for each pattern.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

AGENT: Final = "pushline"
"""What the server is called in the report."""

PASSED: Final = ("OK", "INFORMATIONAL")
NON_STRICT: Final = "NON-STRICT"
FAILED: Final = "FAILED"
VERDICTS: Final = (*PASSED, NON_STRICT, FAILED)

MAY_BE_NON_STRICT: Final = "6.4.*"
"""Invalid UTF-8 inside a frame may be refused when the frame is whole, not at the bad byte."""

GROUPS: Final = {
    1: "framing",
    2: "pings and pongs",
    3: "reserved bits",
    4: "opcodes",
    5: "fragmentation",
    6: "UTF-8",
    7: "close handshake",
    9: "limits and speed",
    10: "auto-fragmentation",
    12: "compression: payloads",
    13: "compression: parameters",
}
ROW: Final = "{:>5}  {:<24}{:>6}{:>6}{:>15}{:>12}{:>8}"

Case = dict[str, Any]
"""How a case ended in `behavior`, how its connection was closed in `behaviorClose`."""


def main(reports: Path, patterns: list[str]) -> int:
    """The exit code."""
    index = json.loads((reports / "index.json").read_text())
    cases: dict[str, Case] = index.get(AGENT, {})
    verdicts = {name: verdict(name, case) for name, case in cases.items()}
    print_table(verdicts)
    failed = [name for name, its_verdict in verdicts.items() if its_verdict == FAILED]
    for name in failed:
        print_failure(name, json.loads((reports / cases[name]["reportfile"]).read_text()))
    lacking = list(incomplete(verdicts, planned(reports / "wstest.log"), patterns))
    print(*lacking, sep="\n", end="\n" if lacking else "")
    return 1 if failed or lacking else 0


def verdict(name: str, case: Case) -> str:
    """One of VERDICTS. What is not passed for certain is failed, UNIMPLEMENTED and UNCLEAN too."""
    behavior, closing = case["behavior"], case["behaviorClose"]
    if closing not in PASSED:
        return FAILED
    allowed = behavior == NON_STRICT and fnmatchcase(name, MAY_BE_NON_STRICT)
    return str(behavior) if behavior in PASSED or allowed else FAILED


def planned(log: Path) -> int:
    """How many cases the suite said that it would run."""
    found = re.search(r"will run (\d+) test cases", log.read_text())
    return int(found[1]) if found else 0


def incomplete(names: Iterable[str], cases: int, patterns: list[str]) -> Iterable[str]:
    """What was asked for and did not run."""
    ran = list(names)
    if len(ran) != cases:
        yield f"{len(ran)} cases ran, of {cases}"
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in ran):
            yield f"no case is called {pattern}"


def print_table(verdicts: Mapping[str, str]) -> None:
    """A row for each group of cases, and their sum."""
    print(ROW.format("group", "", "cases", *VERDICTS))
    for number, title in GROUPS.items():
        row = [v for name, v in verdicts.items() if name.startswith(f"{number}.")]
        if row:
            print_row(str(number), title, row)
    print_row("all", "", list(verdicts.values()))


def print_row(group: str, title: str, verdicts: list[str]) -> None:
    counts = Counter(verdicts)
    print(ROW.format(group, title, len(verdicts), *(counts[verdict] for verdict in VERDICTS)))


def print_failure(name: str, case: Case) -> None:
    print(
        f"\n{name}: {case['behavior']}, closed: {case['behaviorClose']}",
        f"  it does   {plain(case['description'])}",
        f"  expected  {plain(case['expectation'])}",
        f"  result    {plain(case['result'])}",
        f"  close     {plain(case['resultClose'])}; code {case['remoteCloseCode']}",
        sep="\n",
    )


def plain(markup: str) -> str:
    """The suite's HTML as one line of text."""
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2].split(",")))
