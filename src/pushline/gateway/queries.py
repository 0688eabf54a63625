"""Verbs that ask."""

from pushline.commands import (
    Clients,
    ClientsOfGroups,
    ClientsOfUids,
    CountOfClients,
    CountOfUids,
    CountsOfGroups,
    Groups,
    GroupsOfClient,
    IsOnline,
    Session,
    SessionOfClient,
    Sessions,
    UidOfClient,
    Uids,
    UidsOfGroups,
    UidsOnline,
)
from pushline.gateway.base import Verbs
from pushline.gateway.values import Name, Names, names_of
from pushline.names import check_client_id, name_of


class Queries(Verbs):
    """Answers are exact, and copies. Lists are in the order of coming, binding and joining.

    Malformed values raise BadClientIdError and BadNameError; groups that nobody is in are empty.
    """

    async def is_online(self, client_id: str) -> bool:
        """Whether a client is there."""
        return await self._ask(IsOnline(check_client_id(client_id)))

    async def is_uid_online(self, uid: Name, utype: Name = 0) -> bool:
        """Whether a user has a connection."""
        name = name_of(uid)
        return (await self._ask(UidsOnline((name,), name_of(utype))))[name]

    async def is_uids_online(self, uids: Names, utype: Name = 0) -> dict[str, bool]:
        """The same for each of several."""
        return await self._ask(UidsOnline(names_of(uids), name_of(utype)))

    async def get_client_id_by_uid(self, uid: Name, utype: Name = 0) -> list[str]:
        """A user's connections."""
        name = name_of(uid)
        return (await self._ask(ClientsOfUids((name,), name_of(utype))))[name]

    async def batch_get_client_id_by_uid(
        self, uids: Names, utype: Name = 0
    ) -> dict[str, list[str]]:
        """The same for each of several."""
        return await self._ask(ClientsOfUids(names_of(uids), name_of(utype)))

    async def get_uid_by_client_id(self, client_id: str) -> str | None:
        """Whose a connection is; None where it is nobody's, or not there."""
        return await self._ask(UidOfClient(check_client_id(client_id)))

    async def groups_of_client(self, client_id: str) -> list[str]:
        """The groups that a connection is in."""
        return await self._ask(GroupsOfClient(check_client_id(client_id)))

    async def get_uid_list_by_group(self, group: Name, utype: Name = 0) -> list[str]:
        """The different users of a utype in a group."""
        return await self._ask(Uids(name_of(group), name_of(utype)))

    async def get_uid_count_by_group(self, group: Name, utype: Name = 0) -> int:
        """How many they are."""
        return await self._ask(CountOfUids(name_of(group), name_of(utype)))

    async def get_all_uid_list(self, utype: Name = 0) -> list[str]:
        """The different users of a utype."""
        return await self._ask(Uids(None, name_of(utype)))

    async def get_all_uid_count(self, utype: Name = 0) -> int:
        """How many they are."""
        return await self._ask(CountOfUids(None, name_of(utype)))

    async def get_client_id_list_by_group(self, group: Name) -> list[str]:
        """The members of a group."""
        return await self._ask(Clients(name_of(group)))

    async def get_client_id_count_by_group(self, group: Name) -> int:
        """How many they are."""
        name = name_of(group)
        return (await self._ask(CountsOfGroups((name,))))[name]

    async def batch_get_client_id_count_by_group(self, groups: Names) -> dict[str, int]:
        """The same for each of several."""
        return await self._ask(CountsOfGroups(names_of(groups)))

    async def get_all_client_id_list(self) -> list[str]:
        """Every client, bound or not."""
        return await self._ask(Clients(None))

    async def get_all_client_id_count(self) -> int:
        """How many they are."""
        return await self._ask(CountOfClients())

    async def get_session(self, client_id: str) -> Session | None:
        """What is kept for a client: empty where nothing was, None where it is not there."""
        return await self._ask(SessionOfClient(check_client_id(client_id)))

    async def get_client_sessions_by_group(self, group: Name) -> dict[str, Session]:
        """The sessions of a group's members, by client_id."""
        return await self._ask(Sessions(name_of(group)))

    async def get_all_client_sessions(self) -> dict[str, Session]:
        """The sessions of all, by client_id."""
        return await self._ask(Sessions(None))

    async def get_all_group_id_list(self) -> list[str]:
        """The groups that have members."""
        return await self._ask(Groups())

    async def get_all_group_uid_list(self, utype: Name = 0) -> dict[str, list[str]]:
        """The different users of a utype, for each group that has members."""
        return await self._ask(UidsOfGroups(name_of(utype)))

    async def get_all_group_uid_count(self, utype: Name = 0) -> dict[str, int]:
        """How many they are."""
        groups = await self.get_all_group_uid_list(utype)
        return {group: len(uids) for group, uids in groups.items()}

    async def get_all_group_client_id_list(self) -> dict[str, list[str]]:
        """The members, for each group that has any."""
        return await self._ask(ClientsOfGroups())

    async def get_all_group_client_id_count(self) -> dict[str, int]:
        """How many they are."""
        return await self._ask(CountsOfGroups(None))
