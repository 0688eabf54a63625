"""The pages of docs/ name what there is; those that are references, all of it."""

import inspect
import re
from collections.abc import Callable

import pytest

import pushline
from pushline import App, Client, Gateway, Request, Sent, Timer
from pushline.config import KEYS
from tests.docs.pages import codes, page, rows

REFERENCE = page("applications.md")
MAPPING = page("from-gatewayworker.md")

OWNERS: dict[str, object] = {
    "app": App(),
    "client": Client,
    "gateway": Gateway,
    "request": Request,
    "sent": Sent,
    "timer": Timer,
}
PHP_VERBS = (
    *("sendToAll", "sendToClient", "sendToUid", "sendToGroup", "closeClient", "destoryClient"),
    *("bindUid", "unbindUid", "joinGroup", "leaveGroup", "ungroup"),
    *("isOnline", "isUidOnline", "isUidsOnline", "getClientIdByUid", "batchGetClientIdByUid"),
    *("getUidByClientId", "getUidListByGroup", "getUidCountByGroup"),
    *("getAllUidList", "getAllUidCount", "getClientIdListByGroup", "getClientIdCountByGroup"),
    *("batchGetClientIdCountByGroup", "getAllClientIdList", "getAllClientIdCount"),
    *("getClientSessionsByGroup", "getAllClientSessions"),
    *("getAllGroupIdList", "getAllGroupUidList", "getAllGroupUidCount"),
    *("getAllGroupClientIdList", "getAllGroupClientIdCount"),
    *("getSession", "setSession", "updateSession"),
)
OURS_ALONE = {"close_uid", "close_group", "groups_of_client"}
PHP_CALLBACKS = (
    *("onWorkerStart", "onConnect", "onWebSocketConnect", "onMessage", "onClose", "onError"),
    *("onBufferFull", "onBufferDrain", "onWorkerStop", "onWorkerReload"),
    *("Events::onWorkerStart", "Events::onConnect", "Events::onWebSocketConnect"),
    *("Events::onMessage", "Events::onClose", "Events::onWorkerStop"),
)
PHP_OTHERS = ("$_SESSION", "$_GET", "$_COOKIE", "$_SERVER", "Context::$client_id")
PHP_SETTINGS = (
    *("$worker->count", "$worker->name", "$worker->registerAddress", "$worker->secretKey"),
    *("$gateway->count", "$gateway->lanIp", "$gateway->startPort", "$gateway->registerAddress"),
    *("$gateway->secretKey", "$gateway->router", "$gateway->pingInterval", "$gateway->pingData"),
)


def public(owner: type) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def verbs() -> dict[str, Callable[..., object]]:
    """The Gateway's coroutine functions by name."""
    found = inspect.getmembers(Gateway, inspect.iscoroutinefunction)
    return {name: verb for name, verb in found if not name.startswith("_")}


def usage(name: str, function: Callable[..., object]) -> str:
    """As the reference writes it: names and defaults, no types."""
    signature = inspect.signature(function)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in list(signature.parameters.values())[1:]
    ]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return name + text.replace("'", '"')


def mapped() -> dict[str, list[str]]:
    """Each PHP name of the tables, and ours beside it."""
    return {php: codes(cells[1]) for cells in rows(MAPPING) for php in codes(cells[0])}


def snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


# --- the reference ------------------------------------------------------------------------------


def test_every_verb_stands_in_the_reference_as_it_is_called() -> None:
    called = {cells[0].strip("`") for cells in rows(REFERENCE)}
    assert {usage(name, verb) for name, verb in verbs().items()} <= called


def test_the_tables_of_verbs_have_no_other() -> None:
    _, _, rest = REFERENCE.partition("## Gateway")
    tables, _, _ = rest.partition("## Timers")
    named = {found[1] for cells in rows(tables) if (found := re.match(r"`(\w+)\(", cells[0]))}
    assert named == set(verbs())


@pytest.mark.parametrize("prefix", ["client", "request"])
def test_every_attribute_stands_in_the_reference(prefix: str) -> None:
    owner = {"client": Client, "request": Request}[prefix]
    named = set(re.findall(rf"{prefix}\.(\w+)", REFERENCE))
    assert public(owner) <= named


def test_every_decorator_stands_in_the_reference() -> None:
    named = set(re.findall(r"app\.(\w+)", REFERENCE))
    assert {"on_start", "on_connect", "on_message", "on_close", "on_stop"} <= named
    assert {"every", "after", "cron", "files", "gateway"} <= named


def test_every_error_that_is_public_stands_in_the_reference() -> None:
    named = {name for name in pushline.__all__ if name.endswith("Error")}
    assert named <= set(re.findall(r"\w+Error", REFERENCE))


def test_the_settings_of_an_application_stand_in_the_reference_as_they_are() -> None:
    shown = {cells[0].strip("`"): cells[1].strip("`") for cells in rows(REFERENCE)}
    keys = [key for (section, _), key in KEYS.items() if section == "app"]
    assert keys
    for key in keys:
        assert shown[f"app.{key.name}"].removesuffix(" s") == key.kind.write(key.default)


# --- the mapping --------------------------------------------------------------------------------


def test_every_verb_of_php_is_mapped_to_the_same_in_snake_case() -> None:
    mapping = mapped()
    for verb in PHP_VERBS:
        right = snake_case(verb).replace("destory", "destroy")
        assert mapping[f"Gateway::{verb}"] == [f"gateway.{right}"]


def test_every_verb_of_ours_is_in_the_mapping() -> None:
    settings = {name for section, name in KEYS if section == "gateway"}
    named = set(re.findall(r"`gateway\.(\w+)`", MAPPING)) - settings
    assert named == set(verbs())
    assert {snake_case(verb).replace("destory", "destroy") for verb in PHP_VERBS} == (
        named - OURS_ALONE
    )


@pytest.mark.parametrize("name", [*PHP_CALLBACKS, *PHP_OTHERS, *PHP_SETTINGS])
def test_every_other_name_of_php_is_mapped(name: str) -> None:
    assert name in mapped()


def test_timers_are_mapped() -> None:
    named = [name for name in mapped() if "Timer::" in name]
    assert [re.sub(r"\(.*", "", name) for name in named] == [
        *("Timer::add", "Timer::add", "Timer::del", "Timer::delAll")
    ]


# --- all ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["applications.md", "from-gatewayworker.md", "gatewayworker.md", "workers.md"]
)
def test_every_name_of_ours_exists(name: str) -> None:
    text = page(name)
    settings = {f"{section}.{name}" for section, name in KEYS}
    sections = {section for section, _ in KEYS}
    pattern = rf"(?<![\w.$>])({'|'.join(sections | set(OWNERS))})\.(\w+)"
    found = {match for code in codes(text) for match in re.findall(pattern, code)}
    assert found
    for owner, name in found:
        assert f"{owner}.{name}" in settings or hasattr(OWNERS.get(owner), name), (owner, name)
