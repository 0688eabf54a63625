"""How long to wait before the next attempt to connect."""

import random


class Backoff:
    """At most `least` seconds at first, twice as long each time, up to `most`; at random below
    that, so that a cluster's nodes do not all come back in the same moment."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._next = least

    def wait(self) -> float:
        """Seconds."""
        longest, self._next = self._next, min(2 * self._next, self._most)
        return random.uniform(0, longest)  # noqa: S311 - nobody gains by knowing it

    def reset(self) -> None:
        """It was connected for a while."""
        self._next = self._least
