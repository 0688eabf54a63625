"""All the verbs: to await, and for plain code."""

import functools
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, TypeVar

from pushline.gateway.actions import Actions
from pushline.gateway.partial import Missing
from pushline.gateway.queries import Queries
from pushline.gateway.sends import Sends

P = ParamSpec("P")
T = TypeVar("T")


class Gateway(Sends, Actions, Queries):
    """The verbs, for all clients of a server.

    uid, utype and group are text or an integer, which is its decimal text; a client_id is what
    `client.id` gives. What is malformed is refused at once, before anything is done. Until an
    application runs, every verb raises AppError.
    """

    @property
    def sync(self) -> "SyncGateway":
        """The same verbs for plain functions, which run in threads."""
        return SyncGateway(self)

    def partial(self) -> AbstractContextManager[list[Missing]]:
        """Inside `with gateway.partial() as missing` nodes that do not answer are no error.

        They, or the gateways of a Register, are put into `missing`, each with its `address` and
        `why`, and the answers are those of the others. Of a single node nothing can be missing.
        """
        return self.executor.partial.allowed()


def _plain(
    verb: Callable[Concatenate[Gateway, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[SyncGateway, P], T]":
    def plain(self: "SyncGateway", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.gateway.runner.run(verb(self.gateway, *args, **kwargs))

    functools.update_wrapper(plain, verb)
    return plain


class SyncGateway:
    """The verbs of a Gateway as plain methods, which wait for what the event loop does.

    Besides what the verbs raise: DeadlineError after `app.sync_timeout`, and AppError in the event
    loop's own thread.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def partial(self) -> AbstractContextManager[list[Missing]]:
        """As Gateway.partial."""
        return self.gateway.partial()

    send_to_all = _plain(Gateway.send_to_all)
    send_to_client = _plain(Gateway.send_to_client)
    send_to_uid = _plain(Gateway.send_to_uid)
    send_to_group = _plain(Gateway.send_to_group)

    close_client = _plain(Gateway.close_client)
    close_uid = _plain(Gateway.close_uid)
    close_group = _plain(Gateway.close_group)
    destroy_client = _plain(Gateway.destroy_client)
    bind_uid = _plain(Gateway.bind_uid)
    unbind_uid = _plain(Gateway.unbind_uid)
    join_group = _plain(Gateway.join_group)
    leave_group = _plain(Gateway.leave_group)
    ungroup = _plain(Gateway.ungroup)
    set_session = _plain(Gateway.set_session)
    update_session = _plain(Gateway.update_session)

    is_online = _plain(Gateway.is_online)
    is_uid_online = _plain(Gateway.is_uid_online)
    is_uids_online = _plain(Gateway.is_uids_online)
    get_client_id_by_uid = _plain(Gateway.get_client_id_by_uid)
    batch_get_client_id_by_uid = _plain(Gateway.batch_get_client_id_by_uid)
    get_uid_by_client_id = _plain(Gateway.get_uid_by_client_id)
    groups_of_client = _plain(Gateway.groups_of_client)
    get_uid_list_by_group = _plain(Gateway.get_uid_list_by_group)
    get_uid_count_by_group = _plain(Gateway.get_uid_count_by_group)
    get_all_uid_list = _plain(Gateway.get_all_uid_list)
    get_all_uid_count = _plain(Gateway.get_all_uid_count)
    get_client_id_list_by_group = _plain(Gateway.get_client_id_list_by_group)
    get_client_id_count_by_group = _plain(Gateway.get_client_id_count_by_group)
    batch_get_client_id_count_by_group = _plain(Gateway.batch_get_client_id_count_by_group)
    get_all_client_id_list = _plain(Gateway.get_all_client_id_list)
    get_all_client_id_count = _plain(Gateway.get_all_client_id_count)
    get_session = _plain(Gateway.get_session)
    get_client_sessions_by_group = _plain(Gateway.get_client_sessions_by_group)
    get_all_client_sessions = _plain(Gateway.get_all_client_sessions)
    get_all_group_id_list = _plain(Gateway.get_all_group_id_list)
    get_all_group_uid_list = _plain(Gateway.get_all_group_uid_list)
    get_all_group_uid_count = _plain(Gateway.get_all_group_uid_count)
    get_all_group_client_id_list = _plain(Gateway.get_all_group_client_id_list)
    get_all_group_client_id_count = _plain(Gateway.get_all_group_client_id_count)
