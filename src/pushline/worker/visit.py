"""Whether a worker would be let in: asked as a client, whom nobody has to make room for."""

import asyncio

from pushline.config import Config
from pushline.errors import AppError, ClientError
from pushline.gatewayworker.role import client_role
from pushline.worker.spare import links_of


async def visit(config: Config, seconds: float) -> None:
    """Returns where every gateway that answers within `seconds` lets us in.

    Raises AppError where one does not, or no Register says which gateways there are.
    """
    links = links_of(config, client_role(config.gateway.secret))
    links.start()
    try:
        async with asyncio.timeout(seconds):
            await links.settle(seconds)
            await links.tried()
    except ClientError as error:
        raise AppError(str(error)) from None
    except TimeoutError:
        if not links.told:
            raise AppError(f"{links} does not answer within {seconds:g} s") from None
    finally:
        refusal = links.refusal()
        await links.stop()
    if refusal is not None:
        raise AppError(str(refusal))
