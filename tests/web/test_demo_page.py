"""The demo page in real Chromium, as the real server serves it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web import chromium
from tests.web.chromium import Tab, until
from tests.web.servers import Pushline

WEB = files("pushline") / "web"
TOKEN_OF_42 = "c6dc8f189e84d57322ff1f6d30e24c01"
"""Of utype 1 and the secret s3: the example on the protocol's page."""
NAMES = ("shell", "bash", "python", "php")
"""Of the ways to push."""
AWKWARD = """it's <b>"me"\\n</b> & $HOME `id` !!"""


def open_page(tab: Tab, server: Pushline, uid: str = "", **query: str) -> None:
    """The page, with `uid` logged in (or one of the page's own)."""
    values = {"uid": uid, **query} if uid else query
    tab.open(server.page + "?" + "&".join(f"{key}={quote(value)}" for key, value in values.items()))


def connected(tab: Tab) -> None:
    tab.until("document.getElementById('state').textContent === 'Connected'")


def user_of(tab: Tab) -> str:
    return parse_qs(urlsplit(tab.driver.current_url).query)["uid"][0]


def messages(tab: Tab) -> list[str]:
    """The texts of the messages shown, newest first."""
    script = "return [...document.querySelectorAll('#list pre')].map((pre) => pre.textContent)"
    return [str(text) for text in tab.run(script)]


def messages_came(tab: Tab, count: int = 1) -> None:
    tab.until("document.querySelectorAll('#list pre').length === arguments[0]", count)


def received(tab: Tab) -> list[dict[str, object]]:
    return [json.loads(text) for text in messages(tab)]


def type_in(tab: Tab, name: str, text: str) -> None:
    tab.element(name).clear()
    tab.element(name).send_keys(text)


def push(server: Pushline, **line: object) -> None:
    """Until somebody has it: the page cannot see when the server has read its login."""
    until(lambda: server.push(**line) == "ok", f"anybody logged in for {line}")


@pytest.fixture(scope="module")
def server() -> Iterator[Pushline]:
    with Pushline() as server:
        yield server


@pytest.fixture(scope="module")
def secured() -> Iterator[Pushline]:
    with Pushline("--auth", "token", secret="s3") as server:
        yield server


@pytest.fixture(scope="module")
def guarded() -> Iterator[Pushline]:
    """Its secret is the word that stands for one in the page's commands: they run as they are."""
    with Pushline(text_secret="SECRET") as server:
        yield server


# --- what is served ---------------------------------------------------------------------------


def test_a_missing_browser_fails_the_test_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium chromium-driver"):
        chromium.program("chromium")


def test_pushline_js_is_served_as_it_is(server: Pushline) -> None:
    with urllib.request.urlopen(f"{server.page}pushline.js") as response:
        assert response.headers.get_content_type() == "text/javascript"
        assert response.read() == (WEB / "pushline.js").read_bytes()


def test_the_page_loads_nothing_but_pushline_js_and_logs_no_error(
    tab: Tab, server: Pushline
) -> None:
    tab.console()  # what was before
    open_page(tab, server)
    connected(tab)
    names = tab.run("return performance.getEntriesByType('resource').map(({ name }) => name)")
    assert [name for name in names if not name.startswith("data:")] == [f"{server.page}pushline.js"]
    assert tab.console() == []


# --- a user ------------------------------------------------------------------------------------


def test_a_suggested_user_is_logged_in_and_stays_over_a_reload(tab: Tab, server: Pushline) -> None:
    open_page(tab, server)
    connected(tab)
    uid = user_of(tab)
    assert tab.element("uid").get_property("value") == uid
    tab.driver.refresh()
    connected(tab)
    assert user_of(tab) == uid
    push(server, uid=uid, n=1)
    messages_came(tab)
    assert received(tab) == [{"uid": uid, "n": 1}]


def test_a_typed_uid_logs_in_and_gets_a_push(tab: Tab, server: Pushline) -> None:
    open_page(tab, server)
    connected(tab)
    first = user_of(tab)
    type_in(tab, "uid", "uid1" + Keys.ENTER)
    push(server, uid="uid1", percent="88%")
    messages_came(tab)
    assert received(tab) == [{"uid": "uid1", "percent": "88%"}]
    assert user_of(tab) == "uid1"
    assert until(lambda: server.push(uid=first) == "fail")


def test_enter_in_the_field_of_who_is_there_is_no_good_bye_but_the_button_is(
    tab: Tab, server: Pushline
) -> None:
    open_page(tab, server, "uid1")
    connected(tab)
    tab.element("uid").send_keys(Keys.ENTER)
    assert tab.text("state") == "Connected"
    tab.element("connect").click()
    assert tab.text("state") == "Not connected"
    assert until(lambda: server.push(uid="uid1") == "fail")
    tab.element("connect").click()
    connected(tab)


def test_two_tabs_of_one_user_both_receive(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "uid1")
    connected(tab)
    tab.element("second").click()
    until(lambda: len(tab.driver.window_handles) == 3)
    tab.driver.switch_to.window(tab.driver.window_handles[-1])
    second = Tab(tab.driver)
    connected(second)
    assert user_of(second) == "uid1"
    until(lambda: server.push(uid="uid1", n=0) == "ok" and messages(second))
    assert server.push(uid="uid1", n=1) == "ok"
    for each in (second, tab):
        each.focus()
        until(lambda each=each: received(each)[0]["n"] == 1)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("uid", "words"),
    [("x" * 256, "at most 255 bytes"), ("é" * 128, "at most 255 bytes"), ("", "Type a user id")],
)
def test_a_uid_that_is_none_is_refused_by_the_page(
    tab: Tab, server: Pushline, uid: str, words: str
) -> None:
    open_page(tab, server, "uid1")
    connected(tab)
    tab.run("arguments[0].value = arguments[1]", tab.element("uid"), uid)
    tab.element("uid").send_keys(Keys.ENTER)
    assert words in tab.text("hint")
    assert user_of(tab) == "uid1"


# --- the server goes and comes ----------------------------------------------------------------


def test_after_a_restart_of_the_server_pushes_come_again(tab: Tab) -> None:
    with Pushline() as server:
        open_page(tab, server, "uid1")
        connected(tab)
        push(server, uid="uid1", n=1)
        messages_came(tab)
        server.stop()
        tab.until("document.body.dataset.status !== 'open'")
        assert "shutdown (3001)" in tab.text("list")
        server.start()
        connected(tab)
        push(server, uid="uid1", n=2)
        messages_came(tab, 2)
    assert received(tab) == [{"uid": "uid1", "n": 2}, {"uid": "uid1", "n": 1}]


def test_after_a_restart_the_token_is_still_good(tab: Tab) -> None:
    with Pushline("--auth", "token", secret="s3") as server:
        open_page(tab, server, "42", utype="1")
        type_in(tab, "token", TOKEN_OF_42 + Keys.ENTER)
        connected(tab)
        server.stop()
        tab.until("document.body.dataset.status !== 'open'")
        server.start()
        connected(tab)
        push(server, uid="42", utype=1, percent="88%")
        messages_came(tab)


# --- messages ---------------------------------------------------------------------------------


def test_what_is_pushed_is_text_and_never_markup(tab: Tab, server: Pushline) -> None:
    uid = "<img src=x onerror=alert(1)>"
    open_page(tab, server, uid)
    connected(tab)
    first = {"uid": uid, "a": "</pre><script>alert(2)</script>"}
    second = {"uid": uid, "percent": "<b>50</b>%", "</style><svg onload=alert(3)>": 1}
    push(server, **first)
    push(server, **second)
    messages_came(tab, 2)
    assert received(tab) == [second, first]
    assert (
        tab.run("return document.querySelectorAll('img, svg [onload], pre script, b').length") == 0
    )


def test_numbers_and_doubled_keys_are_shown_as_they_were_sent(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "u")
    connected(tab)
    line = '{"uid":"u","n":12345678901234567890,"n":1.50,"e":{},"l":[],"s":"a\\"b\\\\","t":true}'
    until(lambda: server.push_line(line) == "ok")
    messages_came(tab)
    assert "".join(messages(tab)[0].split()) == line


def test_a_flood_leaves_the_newest_hundred(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "u")
    connected(tab)
    push(server, uid="u", n=0)
    for n in range(1, 250):
        assert server.push(uid="u", n=n) == "ok"
    tab.until("document.getElementById('count').textContent === '250'")
    tab.until("document.querySelector('#list pre').textContent.includes('249')")
    assert [message["n"] for message in received(tab)] == list(range(249, 149, -1))
    tab.element("clear").click()
    assert messages(tab) == []


def test_a_long_message_is_cut_in_the_page(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "u")
    connected(tab)
    push(server, uid="u", text="x" * 60_000)
    messages_came(tab)
    assert "more characters" in messages(tab)[0]
    assert len(messages(tab)[0]) < 5100


@pytest.mark.parametrize(
    ("percent", "shown"),
    [("88%", "88 %"), (88, "88 %"), ("12.5", "12.5 %"), ("100%", "100 %"), (250, "100 %")],
)
def test_a_percent_is_a_progress_bar(
    tab: Tab, server: Pushline, percent: object, shown: str
) -> None:
    open_page(tab, server, "u")
    connected(tab)
    push(server, uid="u", percent=percent)
    messages_came(tab)
    assert tab.element("progress").is_displayed()
    assert tab.text("progress-value") == shown
    assert f"{tab.element('track').get_attribute('aria-valuenow')} %" == shown


@pytest.mark.parametrize("percent", ["soon", "-5%", None, [88], {"a": 1}])
def test_any_other_percent_is_none(tab: Tab, server: Pushline, percent: object) -> None:
    open_page(tab, server, "u")
    connected(tab)
    push(server, uid="u", percent=percent)
    messages_came(tab)
    assert not tab.element("progress").is_displayed()


def test_a_phone_never_scrolls_sideways(tab: Tab, server: Pushline) -> None:
    size = {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True}
    tab.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    open_page(tab, server, "W" * 255)
    connected(tab)
    push(server, uid="W" * 255, text="W" * 500)
    messages_came(tab)
    for name in NAMES:
        tab.element(f"tab-{name}").click()
        assert tab.run("return document.documentElement.scrollWidth") == 360


# --- the commands -----------------------------------------------------------------------------


def run(name: str, command: str) -> str:
    """What a command of the page prints, run as it stands there by the program it is meant for."""
    path = f"PATH={Path(sys.executable).parent}:$PATH; "
    arguments = {
        "shell": ["bash", "-c", path + command],
        "bash": ["bash", "-c", command],
        "python": [sys.executable, "-c", command],
        "php": ["php", "-r", command],
    }[name]
    done = subprocess.run(arguments, check=True, timeout=20, stdout=subprocess.PIPE, text=True)
    return done.stdout


@pytest.mark.parametrize("uid", ["uid1", AWKWARD, "-rf", "é\u2028中", "="])
@pytest.mark.parametrize("name", NAMES)
def test_the_shown_command_pushes_to_the_page(
    tab: Tab, server: Pushline, name: str, uid: str
) -> None:
    open_page(tab, server, uid)
    connected(tab)
    push(server, uid=uid, n=0)
    tab.element(f"tab-{name}").click()
    run(name, tab.text("command"))
    messages_came(tab, 2)
    assert received(tab)[0] == {"uid": uid, "percent": "88%"}


@pytest.mark.parametrize(
    ("name", "answers"),
    [("shell", "ok\n"), ("bash", "ok\nok\n"), ("python", ""), ("php", "ok\nok\n")],
)
def test_the_shown_command_gives_the_secret_that_the_server_asks_for(
    tab: Tab, guarded: Pushline, name: str, answers: str
) -> None:
    open_page(tab, guarded, "uid1")
    connected(tab)
    assert tab.element("secret").is_displayed()
    push(guarded, uid="uid1", n=0)
    tab.element(f"tab-{name}").click()
    assert run(name, tab.text("command")) == answers
    messages_came(tab, 2)
    assert received(tab)[0] == {"uid": "uid1", "percent": "88%"}


def test_a_server_without_a_secret_is_not_given_one(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "uid1")
    assert not tab.element("secret").is_displayed()
    for name in NAMES:
        tab.element(f"tab-{name}").click()
        assert "SECRET" not in tab.text("command")


def test_a_click_copies_the_command(tab: Tab, server: Pushline) -> None:
    open_page(tab, server, "it's me")
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    tab.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    tab.driver.find_element("css selector", "[data-copy=command]").click()
    tab.until("document.getElementById('said').textContent === 'Copied'")
    assert tab.run("return navigator.clipboard.readText()") == tab.text("command")


def test_the_commands_follow_the_field_and_the_arrow_keys_walk_the_tabs(
    tab: Tab, server: Pushline
) -> None:
    open_page(tab, server, "a")
    type_in(tab, "uid", "b")
    assert tab.text("command") == f"""pushline push --text {server.text} b '{{"percent":"88%"}}'"""
    assert "still a" in tab.text("hint")
    tab.element("tab-shell").send_keys(Keys.ARROW_LEFT)
    assert tab.driver.switch_to.active_element.get_attribute("id") == "tab-php"
    assert "'uid' => 'b'" in tab.text("command")


@pytest.mark.parametrize("name", ["shell", "python", "php"])
def test_the_shown_command_finds_a_unix_socket(tab: Tab, tmp_path: Path, name: str) -> None:
    with Pushline(text=f"unix:{tmp_path}/text port") as server:
        open_page(tab, server, "uid1")
        connected(tab)
        push(server, uid="uid1", n=0)
        tab.element(f"tab-{name}").click()
        run(name, tab.text("command"))
        messages_came(tab, 2)
        assert not tab.element("tab-bash").is_displayed()  # /dev/tcp is no way to it


def test_without_a_text_port_no_command_is_shown(tab: Tab) -> None:
    with Pushline(text="") as server:
        open_page(tab, server, "uid1")
        connected(tab)
        assert not tab.element("push").is_displayed()


# --- with tokens ------------------------------------------------------------------------------


def test_a_wrong_token_is_final(tab: Tab, secured: Pushline) -> None:
    open_page(tab, secured, "42", utype="1")
    assert tab.text("state") == "Not connected"
    type_in(tab, "token", "nonsense" + Keys.ENTER)
    tab.until("document.getElementById('state').textContent === 'Closed'")
    assert "invalid token (3500)" in tab.text("hint")
    assert len(tab.run("return document.querySelectorAll('#list .note')")) == 1


@pytest.mark.parametrize("uid", ["42", AWKWARD, "-5"])
def test_what_the_shown_command_prints_logs_in(tab: Tab, secured: Pushline, uid: str) -> None:
    open_page(tab, secured, uid, utype="1")
    command = f"set -- {tab.text('token-command')}; printf '%s\\0' \"$@\""
    words = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    login = secured.run(*words.stdout.split("\0")[1:-1])
    type_in(tab, "token", login.strip() + Keys.ENTER)
    connected(tab)
    push(secured, uid=uid, utype=1, n=1)
    messages_came(tab)
    tab.driver.refresh()
    connected(tab)  # the token is still there
    assert json.loads(login)["checkToken"] not in tab.driver.current_url


def test_a_token_page_says_what_is_missing(tab: Tab, secured: Pushline) -> None:
    open_page(tab, secured)
    tab.element("token").send_keys(Keys.ENTER)
    assert "Paste the token" in tab.text("hint")
