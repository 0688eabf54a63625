"""How far the pushes of a call came that ends in an error, and how the error says it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pushline.errors import ClientError, RejectedError

NOTHING_PUSHED = "nothing was pushed"
MAYBE_PUSHED = "a push may have been delivered"


def told(error: ClientError, answers: Sequence[bool] = (), sent: int = 0) -> ClientError:
    """`error`, for one of the calls that it ends: what was answered of the `sent` lines.

    A server that rejects us has taken none of them.
    """
    if isinstance(error, RejectedError):
        sent = 0
    its_own = type(error)(error.args[0], MAYBE_PUSHED if sent else NOTHING_PUSHED)
    its_own.answers, its_own.sent = tuple(answers), sent
    return its_own


@contextmanager
def behind(answers: Sequence[bool]) -> Iterator[None]:
    """Has an error in here say that pushes of the same call had had these `answers` before."""
    try:
        yield
    except ClientError as error:
        if answers:
            error.args = (error.args[0], MAYBE_PUSHED)
            error.answers = (*answers, *error.answers)
            error.sent = None if error.sent is None else len(answers) + error.sent
        raise
