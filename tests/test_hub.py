"""Who is here, beside a model of plain lists."""

import secrets
from collections.abc import Iterable, Iterator

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
from pushline.hub import FEW, Hub, Index, random_id
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


def test_a_copy_of_what_was_selected_is_not_changed_by_those_who_leave(keeper: Keeper) -> None:
    hub = Hub()
    connections = [bound(hub, keeper, "uid1") for _ in range(FEW + 1)]
    everyone = hub.of_utype("0")
    for connection in everyone:
        hub.remove(connection)
    assert everyone == connections


# --- any use ------------------------------------------------------------------------------------

UIDS, UTYPES = ("a", "b", "c"), ("0", "1")
USERS = [(uid, utype) for uid in UIDS for utype in UTYPES]


class AnyUse(RuleBasedStateMachine):
    """`here` is the model: connections in the order of their logins, and as whom."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop()
        self.keeper = Keeper(self.loop)
        self.hub = Hub()
        self.here: dict[Connection, tuple[str, str] | None] = {}

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
        connection = data.draw(st.sampled_from(list(self.here)))
        self.hub.remove(connection)
        del self.here[connection]

    @rule(user=st.sampled_from(USERS))
    def all_of_a_user_leave(self, user: tuple[str, str]) -> None:
        for connection in self._of(user):
            self.hub.remove(connection)
            del self.here[connection]

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
    def nothing_empty_is_kept(self) -> None:
        users = {user for user in self.here.values() if user}
        assert self.hub.users() == len(users)
        assert set(self.hub._utypes) == {utype for _, utype in users}
        assert all(uids and all(uids.values()) for uids in self.hub._utypes.values())

    def _of(self, user: tuple[str, str]) -> list[Connection]:
        return [connection for connection, its in self.here.items() if its == user]


def test_any_use_is_as_with_plain_lists() -> None:
    run_state_machine_as_test(AnyUse, settings=settings(max_examples=30, deadline=None))


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
