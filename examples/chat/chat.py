"""A chat with rooms: who is here, public and private messages, a notice when someone comes or goes.

Its messages are those of Workerman's chat, so that pages made for that work with it unchanged.
They insert names and contents as HTML; what a person types is escaped here, once, as it comes in.
"""

import html
import json
import logging
import re
from datetime import datetime
from pathlib import Path

from pushline import App, BadClientIdError, Client, Close

LONGEST_NAME, LONGEST_ROOM, LONGEST_TEXT = 30, 50, 4000
"""Characters."""
LINE_BREAK = re.compile(r"\r\n|\n|\r")

log = logging.getLogger(__name__)
app = App()
app.files("/", Path(__file__).parent / "page")
heard: set[str] = set()
"""The clients that have said anything since the last ping."""


class IgnoredError(Exception):
    """Nothing can be done with a message; the log says why."""


class RefusedError(Exception):
    """Somebody should know why nothing was done; the page says it."""


@app.on_message
async def receive(client: Client, data: str | bytes) -> None:
    heard.add(client.id)
    try:
        await answer(client, parsed(data))
    except RefusedError as error:
        await client.send(encoded("error", content=str(error)))
    except (IgnoredError, BadClientIdError) as error:
        log.info("ignored a message of %s: %s", client.id, error)


@app.on_close
async def close(client: Client, _reason: Close) -> None:
    await leave_room(client)


@app.every(10)
async def ping_the_silent() -> None:
    spoke = heard.copy()
    heard.clear()
    await app.gateway.send_to_all(encoded("ping"), exclude=spoke)


async def answer(client: Client, message: object) -> None:
    match message:
        case {"type": "login", "client_name": str(name), "room_id": str() | int() as room}:
            await enter_room(client, name_of(name), room_of(str(room)))
        case {"type": "say", "to_client_id": "all", "content": str(text)}:
            await say(client, joined_room(client), content_of(text))
        case {"type": "say", "to_client_id": str(to), "content": str(text)}:
            await whisper(client, joined_room(client), to, content_of(text))
        case {"type": "pong"}:
            pass  # it has been heard of, and that is all there is to it
        case _:
            raise IgnoredError("its type is unknown, or a part of it is missing")


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


async def say(client: Client, room: str, content: str) -> None:
    await app.gateway.send_to_group(room, said(client, "all", content))


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
    name = " ".join(text.split())[:LONGEST_NAME]
    return html.escape(name or "guest")


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
    return LINE_BREAK.sub(r"<br />\g<0>", html.escape(text))


def said(client: Client, to: str, content: str) -> str:
    return encoded(
        "say",
        from_client_id=client.id,
        from_client_name=client.session["name"],
        to_client_id=to,
        content=content,
        time=now(),
    )


def parsed(data: str | bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise IgnoredError("it is no JSON") from None


def encoded(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def now() -> str:
    return f"{datetime.now():%Y-%m-%d %H:%M:%S}"
