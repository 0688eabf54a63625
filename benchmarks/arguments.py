"""What arguments on the command lines of the benchmarks may be."""


def positive_number(text: str) -> int:
    """Raises ValueError, as argparse wants it."""
    if int(text) < 1:
        raise ValueError
    return int(text)
