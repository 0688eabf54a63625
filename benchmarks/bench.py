"""Measures the server beside the floor and says which targets it meets."""

import argparse
import resource
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from tqdm import tqdm

from benchmarks.arguments import positive_number
from benchmarks.fairness import prober_is_favoured
from benchmarks.measure import Measure, Plan, Result
from benchmarks.measures import MEASURES
from benchmarks.processes import UnableError, use_client_core
from benchmarks.report import markdown, text_table

RUNS, QUICK = Plan(runs=6), Plan(runs=2, shorter=5)


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 if every target was met, 1 if not, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        results = _measure(_chosen(options), _plan(options))
    except KeyboardInterrupt:
        return 130
    except UnableError as error:
        sys.exit(str(error))
    command = shlex.join(["scripts/bench", *arguments])
    print(markdown(results, command) if options.markdown else text_table(results))
    return any(result.missed for result in results)


def _interrupt(*_: object) -> None:
    """Once is enough: while we end what we started, nothing may interrupt us."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("scripts/bench", description=__doc__)
    names = [measure.name for measure in MEASURES]
    parser.add_argument("--runs", type=positive_number, help=f"of each measure ({RUNS.runs})")
    parser.add_argument("--quick", action="store_true", help="short loads: the numbers are rough")
    parser.add_argument("--only", action="append", choices=names, help="this one; repeatable")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/performance.md")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else RUNS
    return Plan(options.runs or plan.runs, plan.shorter)


def _chosen(options: argparse.Namespace) -> list[Measure]:
    return [m for m in MEASURES if options.only is None or m.name in options.only]


def _measure(measures: Sequence[Measure], plan: Plan) -> list[Result]:
    use_client_core()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if not prober_is_favoured() and any(m.name == "fairness" for m in measures):
        print("fairness is measured unfavoured: a negative nice value needs root", file=sys.stderr)
    with tqdm(total=len(measures) * plan.runs, unit="run", leave=False, disable=None) as bar:
        return list(_results(measures, plan, bar))


def _results(measures: Sequence[Measure], plan: Plan, bar: "tqdm[NoReturn]") -> Iterator[Result]:
    for measure in measures:
        bar.set_description(measure.name)
        samples = []
        for sample in measure.samples(plan):
            samples.append(sample)
            bar.update()
        yield Result(measure, tuple(samples))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
