"""An application that does as its clients say: with them, or for all nodes."""

import json

from pushline import App, Client
from pushline.errors import PushlineError

app = App()


@app.on_message
async def do(client: Client, said: str) -> None:
    """`["join", "g"]` is the client's own, `["send_to_group", "g", "hello"]` the gateway's.

    The answer is what came of it, and who has had no part in it; or the error.
    """
    name, *arguments = json.loads(said)
    if name == "id":
        await client.send(json.dumps({"result": client.id, "missing": []}))
        return
    verb = getattr(client if name in ("bind", "join") else app.gateway, name)
    try:
        with app.gateway.partial() as missing:
            result = await verb(*arguments)
        await client.send(json.dumps({"result": result, "missing": missing}, default=str))
    except PushlineError as error:
        await client.send(json.dumps({"error": type(error).__name__}))
