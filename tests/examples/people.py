"""People who chat, without a page: each is a socket that speaks the chat's messages."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import browser

CHAT = Path(__file__).parents[2] / "examples" / "chat"
Message = dict[str, Any]


class Person:
    """One connection to the chat. `id` and `here` (names by id) are those of the last login."""

    def __init__(self, address: str, name: str = "", room: object = 1) -> None:
        self._browser = browser.connect(address)
        self.id = ""
        self.here: dict[str, str] = {}
        if name:
            self.login(name, room)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.leave()

    def leave(self) -> None:
        self._browser.disconnect()

    def login(self, name: str, room: object = 1) -> Message:
        """What the server answers."""
        self.put(type="login", client_name=name, room_id=room)
        answer = self.next()
        self.id, self.here = answer["client_id"], answer["client_list"]
        return answer

    def say(self, content: str, to: str = "all") -> None:
        self.put(type="say", to_client_id=to, to_client_name="", content=content)

    def put(self, **message: object) -> None:
        self.put_text(json.dumps(message))

    def put_text(self, text: str) -> None:
        self._browser.send_text(text)

    def next(self) -> Message:
        """The next message that is no ping."""
        while (message := self.next_of_any()) == {"type": "ping"}:
            pass
        return message

    def next_of_any(self) -> Message:
        message: Message = json.loads(self._browser.message())
        return message
