"""A chat with rooms: who is here, public and private messages, a notice when someone comes or goes.

Its messages are those of Workerman's chat, so that pages made for that work with it unchanged.
They insert names and contents as HTML; what a person types is escaped here, once, as it comes in.
"""

import html
import logging
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from pushline import App, BadClientIdError, Client, Close

LONGEST_NAME, LONGEST_ROOM, LONGEST_TEXT = 30, 50, 4000
"""Characters."""

log = logging.getLogger(__name__)
app = App()
app.files("/", Path(__file__).parent / "page")
heard: set[Client] = set()
"""Those that have said anything since the last ping."""


class Login(msgspec.Struct, tag="login"):
    client_name: str
    room_id: str | int


class Say(msgspec.Struct, tag="say"):
    to_client_id: str
    content: str


class Pong(msgspec.Struct, tag="pong"):
    """The answer to a ping: it has been heard of, and that is all there is to it."""


parse = msgspec.json.Decoder(Login | Say | Pong).decode


class IgnoredError(Exception):
    """Nothing can be done with a message; the log says why."""


class RefusedError(Exception):
    """Somebody should know why nothing was done; the page says it."""


@app.on_message
async def receive(client: Client, data: str | bytes) -> None:
    heard.add(client)
    try:
        await answer(client, parse(data))
    except RefusedError as error:
        await client.send(encoded("error", content=str(error)))
    except (IgnoredError, BadClientIdError, msgspec.MsgspecError, RecursionError) as error:
        log.info("ignored a message of %s: %.200s", client.id, error)


@app.on_close
async def close(client: Client, _reason: Close) -> None:
    await leave_room(client)


@app.every(10)
async def ping_the_silent() -> None:
    spoke = [client.id for client in heard]
    heard.clear()
    await app.gateway.send_to_all(encoded("ping"), exclude=spoke)


async def answer(client: Client, message: Login | Say | Pong) -> None:
    if isinstance(message, Say):
        room, content = joined_room(client), content_of(message.content)
        if message.to_client_id == "all":
            await app.gateway.send_to_group(room, said(client, "all", content))
        else:
            await whisper(client, room, message.to_client_id, content)
    elif isinstance(message, Login):
        await enter_room(client, name_of(message.client_name), room_of(str(message.room_id)))


async def enter_room(client: Client, name: str, room: str) -> None:
    """Show the newcomer who is here, and the newcomer to them; one room at a time."""
    await leave_room(client)
    client.session.update(name=name, room=room)
    await client.join(room)
    sessions = await app.gateway.get_client_sessions_by_group(room)
    names = {client_id: session["name"] for client_id, session in sessions.items()}
    login = {"client_id": client.id, "client_name": name, "time": now()}
    await client.send(encoded("login", **login, client_list=names))
    await app.gateway.send_to_group(room, encoded("login", **login), exclude=client.id)


async def leave_room(client: Client) -> None:
    """Tell those who stay, if there was a room to leave."""
    room = client.session.pop("room", None)
    if room is not None:
        await client.leave(room)
        gone = {"from_client_id": client.id, "from_client_name": client.session["name"]}
        await app.gateway.send_to_group(room, encoded("logout", **gone, time=now()))


async def whisper(client: Client, room: str, to: str, content: str) -> None:
    """Say it to one person in the same room."""
    receiver = await app.gateway.get_session(to)
    if receiver is None or receiver.get("room") != room:
        raise IgnoredError(f"{to} is not in the same room")
    await app.gateway.send_to_client(to, said(client, to, f"<b>对你说: </b>{content}"))
    await client.send(said(client, to, f"<b>你对{receiver['name']}说: </b>{content}"))


def joined_room(client: Client) -> str:
    if "room" not in client.session:
        raise IgnoredError("it came before a login")
    return str(client.session["room"])


def name_of(text: str) -> str:
    visible = "".join(filter(str.isprintable, " ".join(text.split()))).strip()
    return html.escape(visible[:LONGEST_NAME] or "guest")


def room_of(room_id: str) -> str:
    """The room's group."""
    if not room_id:
        raise IgnoredError("it names no room")
    if len(room_id) > LONGEST_ROOM or not room_id.isprintable():
        raise RefusedError(f"A room's name has at most {LONGEST_ROOM} printable characters.")
    return f"room:{room_id}"


def content_of(text: str) -> str:
    if not text:
        raise IgnoredError("it says nothing")
    if len(text) > LONGEST_TEXT:
        excess = f"this one has {len(text):,}"
        raise RefusedError(f"A message has at most {LONGEST_TEXT:,} characters, {excess}.")
    escaped = html.escape(text).replace("\r", "<br />\r").replace("\n", "<br />\n")
    return escaped.replace("\r<br />\n", "\r\n")  # one line break, not two


def said(client: Client, to: str, content: str) -> str:
    return encoded(
        "say",
        from_client_id=client.id,
        from_client_name=client.session["name"],
        to_client_id=to,
        content=content,
        time=now(),
    )


def encoded(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode()


def now() -> str:
    return at(int(time.time()))


@lru_cache(maxsize=1)  # a lively room says many things in a second
def at(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
