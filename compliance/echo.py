"""What the fuzzing client talks to: an application that sends every message back.

Prints its URL.
"""

import asyncio

import uvloop

from pushline import App, Client
from pushline.config import load
from pushline.service import Service

CONFIG = load(
    None,
    {
        "PUSHLINE_APP_LOAD": "compliance.echo:app",
        "PUSHLINE_WEBSOCKET_LISTEN": "127.0.0.1:0",
        "PUSHLINE_WEBSOCKET_COMPRESSION": "true",
        "PUSHLINE_TEXT_LISTEN": "",
        "PUSHLINE_LIMITS_MESSAGE": "16 MiB",  # the longest of any case, 9.1.6 and 9.2.6
        "PUSHLINE_LIMITS_QUEUE": "32 MiB",
    },
    {},
)

app = App()


@app.on_message
async def echo(client: Client, data: str | bytes) -> None:
    await client.send(data)


async def main() -> None:
    service = Service(CONFIG, app)
    await service.start()
    print(f"ws://{service.websocket[0]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
