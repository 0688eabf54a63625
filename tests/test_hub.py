"""Who is here, beside a model of plain lists."""

import secrets
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pushline.connection import Connection
from pushline.hub import FEW, Directory, Hub, Index, random_id
from tests.core import Keeper, Loop


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    loop = Loop()
    yield Keeper(loop)
    loop.close()


def drawing(*numbers: int) -> Hub:
    """A hub that draws these."""
    return Hub(iter(numbers).__next__)


def bound(hub: Hub, keeper: Keeper, uid: str, utype: str = "0") -> Connection:
    connection = keeper.connect()
    hub.add(connection)
    hub.bind(connection, uid, utype)
    return connection


# --- ids ----------------------------------------------------------------------------------------


def test_an_id_is_what_was_drawn_unless_it_is_taken_or_0(keeper: Keeper) -> None:
    hub = drawing(0, 7, 7, 0, 7, 8)
    first, second = keeper.connect(), keeper.connect()
    hub.add(first)
    hub.add(second)
    assert (first.id, second.id) == (7, 8)
    assert hub.connections == {7: first, 8: second}


def test_the_id_of_one_that_has_left_can_be_given_again(keeper: Keeper) -> None:
    hub = drawing(7, 7)
    hub.add(first := keeper.connect())
    hub.remove(first)
    hub.add(second := keeper.connect())
    assert hub.connections == {7: second}


@pytest.mark.parametrize(("drawn", "number"), [(0, 1), (2**32 - 2, 2**32 - 1)])
def test_a_random_id_has_32_bits_and_is_never_0(
    monkeypatch: pytest.MonkeyPatch, drawn: int, number: int
) -> None:
    bounds = []

    def draw(bound: int) -> int:
        bounds.append(bound)
        return drawn

    monkeypatch.setattr(secrets, "randbelow", draw)
    assert random_id() == number
    assert bounds == [2**32 - 1]


def test_one_can_be_named_before_it_is_added(keeper: Keeper) -> None:
    hub = drawing(7, 7, 8, 7, 8, 9)
    first, second, third = [keeper.connect() for _ in range(3)]
    hub.name(first)
    hub.name(second)
    hub.name(first)
    hub.add(third)
    assert [first.id, second.id, third.id] == [7, 8, 9]
    assert first not in hub
    assert hub.connections == {9: third}
    hub.add(second)
    assert hub.connections == {9: third, 8: second}


@pytest.mark.parametrize("end", [Hub.forget, Hub.remove])
def test_the_id_of_one_that_was_named_and_not_added_is_free_again(
    keeper: Keeper, end: Callable[[Hub, Connection], None]
) -> None:
    hub = drawing(7, 7)
    hub.name(refused := keeper.connect())
    end(hub, refused)
    hub.name(other := keeper.connect())
    end(hub, refused)
    assert (refused.id, other.id) == (7, 7)
    hub.add(other)
    hub.remove(refused)
    assert hub.connections == {7: other}


def test_one_that_is_added_again_stands_there_once(keeper: Keeper) -> None:
    hub = Hub()
    hub.join(connection := bound(hub, keeper, "uid1"), "a")
    hub.add(connection)
    assert list(hub.of_uid("uid1", "0")) == list(hub.of_group("a")) == [connection]


# --- indexes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 3 * FEW])
def test_the_connections_of_a_user_stand_in_the_order_in_which_they_came(
    keeper: Keeper, count: int
) -> None:
    hub = Hub()
    connections = [bound(hub, keeper, "uid1") for _ in range(count)]
    assert list(hub.of_uid("uid1", "0")) == connections
    hub.remove(connections.pop(count // 2))
    assert list(hub.of_uid("uid1", "0")) == connections
    connections.append(bound(hub, keeper, "uid1"))
    assert list(hub.of_uid("uid1", "0")) == connections


def test_the_same_uid_in_another_utype_is_another_user(keeper: Keeper) -> None:
    hub = Hub()
    one, other = bound(hub, keeper, "uid1", "0"), bound(hub, keeper, "uid1", "1")
    assert (list(hub.of_uid("uid1", "0")), list(hub.of_uid("uid1", "1"))) == ([one], [other])
    assert (hub.of_utype("0"), hub.of_utype("1")) == ([one], [other])
    assert hub.users() == 2


def test_nobody_is_found_where_nobody_is(keeper: Keeper) -> None:
    hub = Hub()
    bound(hub, keeper, "uid1", "0")
    assert list(hub.of_uid("uid2", "0")) == list(hub.of_uid("uid1", "1")) == hub.of_utype("1") == []


def test_one_that_has_not_logged_in_is_known_but_is_no_user(keeper: Keeper) -> None:
    hub = Hub()
    hub.add(connection := keeper.connect())
    assert list(hub.connections.values()) == [connection]
    assert (hub.users(), hub.of_utype("0")) == (0, [])
    hub.remove(connection)
    assert hub.connections == {}


def test_removing_one_that_is_in_no_index_changes_nothing(keeper: Keeper) -> None:
    hub = Hub()
    stays, leaves = bound(hub, keeper, "uid1"), bound(hub, keeper, "uid1")
    hub.remove(leaves)
    hub.remove(leaves)
    hub.remove(keeper.connect())
    assert list(hub.of_uid("uid1", "0")) == list(hub.connections.values()) == [stays]


def test_what_one_had_before_it_was_added_counts_from_then_on(keeper: Keeper) -> None:
    hub = Hub()
    early = keeper.connect()
    hub.bind(early, "old", "1")
    hub.bind(early, "uid1", "0")
    hub.join(early, "a")
    hub.join(early, "b")
    hub.leave(early, "a")
    assert (hub.users(), dict(hub.groups)) == (0, {})
    hub.join(other := bound(hub, keeper, "uid1"), "b")
    hub.add(early)
    assert list(hub.of_uid("uid1", "0")) == list(hub.of_group("b")) == [other, early]
    assert hub.users() == len(hub.groups) == 1


def test_what_one_had_when_it_was_removed_is_still_readable(keeper: Keeper) -> None:
    hub = Hub()
    connection = bound(hub, keeper, "uid1", "1")
    hub.join(connection, "b")
    hub.join(connection, "a")
    connection.session = {"name": "one"}
    hub.remove(connection)
    assert (connection.uid, connection.utype) == ("uid1", "1")
    assert list(connection.groups or ()) == ["b", "a"]
    assert connection.session == {"name": "one"}
    assert (hub.users(), dict(hub.groups)) == (0, {})


def test_one_that_was_removed_comes_into_no_index(keeper: Keeper) -> None:
    hub = Hub()
    hub.remove(connection := bound(hub, keeper, "uid1"))
    hub.bind(connection, "uid2", "0")
    hub.join(connection, "a")
    assert (hub.users(), dict(hub.groups)) == (0, {})
    assert hub.unbind(connection)
    assert hub.leave(connection, "a")


def test_a_new_uid_replaces_the_old(keeper: Keeper) -> None:
    hub = Hub()
    connection = bound(hub, keeper, "uid1")
    hub.bind(connection, "uid1", "1")
    assert list(hub.of_uid("uid1", "0")) == []
    assert list(hub.of_uid("uid1", "1")) == [connection]
    assert hub.users() == 1


def test_the_same_uid_again_keeps_the_place(keeper: Keeper) -> None:
    hub = Hub()
    first, second = bound(hub, keeper, "uid1"), bound(hub, keeper, "uid1")
    hub.bind(first, "uid1", "0")
    assert list(hub.of_uid("uid1", "0")) == [first, second]


def test_whatever_is_bound_can_be_unbound_or_only_one_uid(keeper: Keeper) -> None:
    hub = Hub()
    connection = bound(hub, keeper, "uid1")
    assert not hub.unbind(connection, "uid2")
    assert hub.unbind(connection, "uid1")
    assert not hub.unbind(connection)
    assert (connection.uid, connection.utype, hub.users()) == (None, None, 0)
    hub.bind(connection, "uid2", "1")
    assert hub.unbind(connection)
    assert connection in hub


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 3 * FEW])
def test_the_members_of_a_group_stand_in_the_order_in_which_they_joined(
    keeper: Keeper, count: int
) -> None:
    hub = Hub()
    members = [bound(hub, keeper, "uid1") for _ in range(count)]
    members.reverse()
    for member in [*members, *members]:
        hub.join(member, "a")
    assert list(hub.of_group("a")) == members
    assert hub.leave(leaves := members.pop(count // 2), "a")
    assert not hub.leave(leaves, "a")
    assert list(hub.of_group("a")) == members
    assert hub.ungroup("a") == len(members)
    assert hub.groups == {}
    assert all(member.groups is None for member in members)


def test_a_group_can_be_narrowed_to_a_utype(keeper: Keeper) -> None:
    hub = Hub()
    person, shop, nobody = bound(hub, keeper, "p"), bound(hub, keeper, "s", "1"), keeper.connect()
    hub.add(nobody)
    for member in (shop, nobody, person):
        hub.join(member, "a")
    hub.join(shop, "b")
    assert list(hub.of_group("a")) == [shop, nobody, person]
    assert hub.of_group("a", "0") == [person]
    assert list(hub.of_groups(["b", "a"])) == [shop, nobody, person]
    assert list(hub.of_groups(["b", "a"], "1")) == [shop]


def test_a_copy_of_what_was_selected_is_not_changed_by_those_who_leave(keeper: Keeper) -> None:
    hub = Hub()
    connections = [bound(hub, keeper, "uid1") for _ in range(FEW + 1)]
    everyone = hub.of_utype("0")
    for connection in everyone:
        hub.remove(connection)
    assert everyone == connections


# --- any use ------------------------------------------------------------------------------------

UIDS, UTYPES, GROUPS = ("a", "b", "c"), ("0", "1"), ("x", "y", "z")
USERS = [(uid, utype) for uid in UIDS for utype in UTYPES]


class Watching:
    """A Watcher that keeps count: of users, by utype and uid, and of groups."""

    def __init__(self) -> None:
        self.users: dict[tuple[str, str], int] = {}
        self.groups: dict[str, int] = {}

    def user_came(self, uid: str, utype: str, connections: int) -> None:
        assert connections == self.users.get((uid, utype), 0) + 1
        self.users[uid, utype] = connections

    def user_left(self, uid: str, utype: str, connections: int) -> None:
        assert connections == self.users[uid, utype] - 1
        self.users[uid, utype] = connections

    def group_came(self, group: str, members: int) -> None:
        assert members == self.groups.get(group, 0) + 1
        self.groups[group] = members

    def group_left(self, group: str, members: int) -> None:
        assert members == self.groups[group] - 1
        self.groups[group] = members


class AnyUse(RuleBasedStateMachine):
    """`here` is the model: connections in the order of their logins, and as whom.

    `joined` is who is in which group, in the order of joining.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.keeper = Keeper(self.loop)
        self.hub = Hub()
        self.hub.watcher = self.watching = Watching()
        self.here: dict[Connection, tuple[str, str] | None] = {}
        self.joined: list[tuple[str, Connection]] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule(user=st.sampled_from(USERS), count=st.integers(1, FEW))
    def log_in(self, user: tuple[str, str], count: int) -> None:
        for _ in range(count):
            self.here[bound(self.hub, self.keeper, *user)] = user

    @rule()
    def connect(self) -> None:
        connection = self.keeper.connect()
        self.hub.add(connection)
        self.here[connection] = None

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self._leave(self._draw(data))

    @rule(user=st.sampled_from(USERS))
    def all_of_a_user_leave(self, user: tuple[str, str]) -> None:
        for connection in self._of(user):
            self._leave(connection)

    @precondition(lambda self: self.here)
    @rule(data=st.data(), user=st.sampled_from(USERS))
    def bind(self, data: st.DataObject, user: tuple[str, str]) -> None:
        connection = self._draw(data)
        self.hub.bind(connection, *user)
        if self.here[connection] != user:
            del self.here[connection]
            self.here[connection] = user

    @precondition(lambda self: self.here)
    @rule(data=st.data(), uid=st.sampled_from([None, *UIDS]))
    def unbind(self, data: st.DataObject, uid: str | None) -> None:
        connection = self._draw(data)
        user = self.here[connection]
        fits = user is not None and uid in (None, user[0])
        assert self.hub.unbind(connection, uid) == fits
        self.here[connection] = None if fits else user

    @precondition(lambda self: self.here)
    @rule(data=st.data(), group=st.sampled_from(GROUPS))
    def join(self, data: st.DataObject, group: str) -> None:
        member = (group, self._draw(data))
        self.hub.join(member[1], group)
        self.joined += [] if member in self.joined else [member]

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave_group(self, data: st.DataObject) -> None:
        group, connection = data.draw(st.sampled_from(self.joined))
        assert self.hub.leave(connection, group)
        self.joined.remove((group, connection))

    @rule(group=st.sampled_from(GROUPS))
    def ungroup(self, group: str) -> None:
        assert self.hub.ungroup(group) == len(self._members(group))
        self.joined = [member for member in self.joined if member[0] != group]

    @invariant()
    def each_is_found_where_it_belongs_and_nowhere_else(self) -> None:
        for user in USERS:
            assert list(self.hub.of_uid(*user)) == self._of(user)
        for utype in UTYPES:
            everyone = [each for uid in UIDS for each in self._of((uid, utype))]
            found = self.hub.of_utype(utype)
            assert len(found) == len(everyone)
            assert set(found) == set(everyone)
        assert set(self.hub.connections.values()) == set(self.here)
        assert self.hub.connections == {each.id: each for each in self.here}

    @invariant()
    def each_is_in_the_groups_that_it_joined_and_in_no_other(self) -> None:
        for group in GROUPS:
            assert list(self.hub.of_group(group)) == self._members(group)
        for connection in self.here:
            groups = [group for group, member in self.joined if member is connection]
            assert list(connection.groups or ()) == groups

    @invariant()
    def the_watcher_has_heard_of_everyone(self) -> None:
        assert self.watching.users == {user: len(self._of(user)) for user in self.watching.users}, (
            "nobody else"
        )
        assert {user for user, count in self.watching.users.items() if count} == {
            user for user in self.here.values() if user
        }
        assert {group: count for group, count in self.watching.groups.items() if count} == {
            group: len(self._members(group)) for group, _ in self.joined
        }

    @invariant()
    def nothing_empty_is_kept(self) -> None:
        assert set(self.hub.groups) == {group for group, _ in self.joined}
        assert all(self.hub.groups.values())
        users = {user for user in self.here.values() if user}
        assert self.hub.users() == len(users)
        assert set(self.hub._utypes) == {utype for _, utype in users}
        assert all(uids and all(uids.values()) for uids in self.hub._utypes.values())

    def _of(self, user: tuple[str, str]) -> list[Connection]:
        return [connection for connection, its in self.here.items() if its == user]

    def _members(self, group: str) -> list[Connection]:
        return [connection for its, connection in self.joined if its == group]

    def _draw(self, data: st.DataObject) -> Connection:
        return data.draw(st.sampled_from(list(self.here)))

    def _leave(self, connection: Connection) -> None:
        self.hub.remove(connection)
        del self.here[connection]
        self.joined = [member for member in self.joined if member[1] is not connection]


def test_any_use_is_as_with_plain_lists() -> None:
    run_state_machine_as_test(AnyUse, settings=settings(max_examples=30, deadline=None))


# --- who watches --------------------------------------------------------------------------------


def test_a_watcher_hears_of_one_that_is_added_by_all_that_it_has(keeper: Keeper) -> None:
    """And not before: until then it is nobody."""
    hub, connection = Hub(), keeper.connect()
    hub.watcher = watching = Watching()
    hub.name(connection)
    hub.bind(connection, "uid1", "0")
    hub.join(connection, "a")
    assert (watching.users, watching.groups) == ({}, {})
    hub.add(connection)
    hub.add(connection)
    assert (watching.users, watching.groups) == ({("uid1", "0"): 1}, {"a": 1})
    hub.remove(connection)
    hub.remove(connection)
    assert (watching.users, watching.groups) == ({("uid1", "0"): 0}, {"a": 0})


def test_a_watcher_hears_of_a_change_once(keeper: Keeper) -> None:
    hub = Hub()
    hub.watcher = watching = Watching()
    connection = bound(hub, keeper, "uid1")
    hub.bind(connection, "uid1", "0")
    hub.bind(connection, "uid1", "7")
    hub.join(connection, "a")
    hub.join(connection, "a")
    assert watching.users == {("uid1", "0"): 0, ("uid1", "7"): 1}
    assert watching.groups == {"a": 1}
    hub.ungroup("a")
    hub.unbind(connection)
    assert watching.users == {("uid1", "0"): 0, ("uid1", "7"): 0}
    assert watching.groups == {"a": 0}


# --- what it costs ------------------------------------------------------------------------------


def ids_of(members: Iterable[Connection]) -> list[int]:
    return [id(member) for member in members]


def test_a_few_connections_of_a_key_take_a_tuple_and_more_than_that_a_map(keeper: Keeper) -> None:
    """Adding and removing one of very many must not copy them all."""
    index = Index()
    connections = [keeper.connect() for _ in range(FEW + 1)]
    for connection in connections[:FEW]:
        index.add("key", connection)
    assert isinstance(index["key"], tuple)
    index.add("key", connections[FEW])
    assert isinstance(index["key"], dict)
    assert ids_of(index["key"]) == ids_of(connections)
    for connection in connections:
        index.remove("key", connection)
    assert index == {}


def test_to_remove_one_only_its_own_groups_are_touched(keeper: Keeper) -> None:
    """However many there are."""
    hub = Hub()
    for number in range(100):
        hub.join(bound(hub, keeper, f"uid{number}"), f"group{number}")
    touched: list[str] = []

    class Noting(Index):
        def __getitem__(self, key: str) -> tuple[Connection, ...] | dict[Connection, None]:
            touched.append(key)
            return super().__getitem__(key)

    hub.groups = Noting(hub.groups)
    hub.remove(next(iter(hub.of_group("group7"))))
    assert set(touched) == {"group7"}


# --- client_ids ---------------------------------------------------------------------------------


def test_a_client_is_found_by_its_id_on_its_own_node_only(keeper: Keeper) -> None:
    hub = drawing(0x2A, 0x2B)
    one, other = bound(hub, keeper, "uid1"), bound(hub, keeper, "uid2")
    here, elsewhere = Directory(hub, 0x7F0000010BB8), Directory(hub, 0x7F0000010BB9)
    assert here.id_of(one) == "7f0000010bb80000002a"
    assert here.ids_of([other, one]) == ["7f0000010bb80000002b", "7f0000010bb80000002a"]
    assert here.find(here.id_of(one)) is one
    assert here.find(elsewhere.id_of(one)) is None
    hub.remove(one)
    assert here.find(here.id_of(one)) is None
    assert here.find_all([here.id_of(each) for each in (one, other)]) == [other]
