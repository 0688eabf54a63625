"""Newline-ended lines out of a byte stream. Sans-I/O."""


class LineReader:
    """Collects bytes, gives back whole lines without their line end.

    No line over `limit` bytes (its line end not counted) is buffered or given back: from there on
    `overrun` is true and nothing more is taken, since the end of such a line cannot be known.
    """

    __slots__ = ("_limit", "_partial", "overrun")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial = bytearray()
        self.overrun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, oldest first."""
        if self.overrun or not data:
            return []
        *lines, rest = data.split(b"\n")
        if not lines:
            self._keep(rest)
            return []
        if self._partial:
            lines[0] = bytes(self._partial + lines[0])
            self._partial.clear()
        if len(lines[0]) > self._limit or len(data) > self._limit:
            lines = self._cut_at_overrun(lines)
        self._keep(rest)
        if b"\r" in data or (lines[:1] and lines[0].endswith(b"\r")):
            return [line[:-1] if line.endswith(b"\r") else line for line in lines]
        return lines

    def _keep(self, rest: bytes) -> None:
        size = len(self._partial) + len(rest) - rest.endswith(b"\r")  # its \n may follow
        if self.overrun or size > self._limit:
            self.overrun = True
            self._partial.clear()
        else:
            self._partial += rest

    def _cut_at_overrun(self, lines: list[bytes]) -> list[bytes]:
        for index, line in enumerate(lines):
            if len(line) - line.endswith(b"\r") > self._limit:
                self.overrun = True
                return lines[:index]
        return lines
