"""The nouns: a Measure has a Target, and yields a Sample for each run of a Plan."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Plan:
    """How often each measure is taken, and by how much its loads are shortened."""

    runs: int
    shorter: int = 1


@dataclass(frozen=True)
class Sample:
    """One run: the value, the two figures whose ratio it may be, and the messages lost in it."""

    value: float
    server: float | None = None
    floor: float | None = None
    lost: int = 0


Samples = Callable[[Plan], Iterator[Sample]]


@dataclass(frozen=True)
class Target:
    """The most, or the least, that a value may be."""

    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


@dataclass(frozen=True)
class Measure:
    """`unit` is the value's, `part` that of the two figures; `how` are the loads, as commands."""

    name: str
    title: str
    unit: str
    target: Target
    samples: Samples
    how: tuple[object, ...]
    part: str = ""


@dataclass(frozen=True)
class Result:
    """A measure and its samples, one or more."""

    measure: Measure
    samples: tuple[Sample, ...]

    @property
    def values(self) -> list[float]:
        return [sample.value for sample in self.samples]

    @property
    def lost(self) -> int:
        return sum(sample.lost for sample in self.samples)

    @property
    def missed(self) -> bool:
        """Beyond the target, or right only because messages were lost."""
        return self.lost > 0 or not self.measure.target.met(median(self.values))
