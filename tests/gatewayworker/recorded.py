"""What PHP's GatewayClient, BusinessWorker, Gateway and Register sent each other, byte for byte.

`recorded.json` says itself how it was recorded.
"""

import json
from pathlib import Path
from typing import Any, Final

RECORDED: Final[dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_text())


def in_calls(peer: str, way: str) -> list[bytes]:
    """What went to or came from `peer`, `gateway`, `register` or `worker`, as `request`, `reply`
    or `event`: each a piece as it was sent."""
    return [
        bytes.fromhex(sent["hex"])
        for call in RECORDED["calls"]
        for sent in call["flow"]
        if (sent["peer"], sent["way"]) == (peer, way)
    ]


def in_life(sender: str, receiver: str) -> list[bytes]:
    """What `sender` sent to `receiver`, each one of `gateway`, `register`, `worker` or `client`,
    in the life of a worker."""
    return [
        bytes.fromhex(sent["hex"])
        for sent in RECORDED["worker"]
        if (sent["from"], sent["to"]) == (sender, receiver)
    ]
