"""Fuzzes the codecs for a bounded time or number of inputs: see README.md."""

import argparse
import sys
import time
import traceback
from itertools import product
from random import Random

from fuzz.invariant import check, check_memory, make_input
from fuzz.targets import TARGETS, Target

MEMORY_EVERY = 20
"""Rounds: measuring memory takes as long as some ten of them."""


def main() -> int:
    options = _options()
    chosen = [target for target in TARGETS if not options.names or target.name in options.names]
    seconds = options.seconds / len(chosen)
    results = [_fuzz(target, options.seed, seconds, options.rounds) for target in chosen]
    return 0 if all(results) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    names = [target.name for target in TARGETS]
    parser.add_argument("names", nargs="*", metavar="CODEC", help=f"of {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=10, help="for all together (10)")
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="inputs for each codec")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of the random numbers")
    options = parser.parse_args()
    if unknown := set(options.names) - set(names):
        parser.error(f"no such codec: {', '.join(sorted(unknown))}")
    return options


def _fuzz(target: Target, seed: int, seconds: float, rounds: int) -> bool:
    """Whether the invariant held."""
    random = Random(seed)
    end = time.monotonic() + seconds
    data = b""
    done = 0
    try:
        for data, piece in product(target.seeds, repeat=2):
            check_memory(target, data, piece)
        while done < rounds and time.monotonic() < end:
            data = make_input(random, target.seeds)
            check(target, random, data)
            if done % MEMORY_EVERY == 0:
                check_memory(target, data, random.choice(target.seeds))
            done += 1
    except Exception:
        print(f"{target.name}: seed {seed}, round {done}, broken by\n{data!r}")
        traceback.print_exc()
        return False
    print(f"{target.name}: {done} inputs, seed {seed}")
    return True


if __name__ == "__main__":
    sys.exit(main())
