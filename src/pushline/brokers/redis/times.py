"""How long things take, in seconds."""

from typing import NamedTuple


class Times(NamedTuple):
    """All but `broker.timeout`, which is an operator's to decide."""

    lease: float = 10.0
    """How long a node counts as alive after it was last heard of."""
    renew: float = 3.0
    """From one renewal to the next; each is also the probe of the connection."""
    patience: float = 10.0
    """For the answer to any command; then the connection is taken to be dead."""
    retry: float = 0.1
    """The longest first pause between two attempts to connect; each may be twice as long ..."""
    retry_most: float = 5.0
    """... until it is that."""
    join: float = 30.0
    """In which a node that starts has to be in the cluster."""
