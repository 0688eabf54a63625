"""Real Chromium, driven by selenium."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

PATIENCE = 20
"""Seconds after which what was to happen has not happened."""
FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program(name: str) -> str:
    """Its path; fails the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(
            f"{name} is not installed, and these tests need a real browser:"
            " apt-get install chromium chromium-driver"
        )
    return path


def start(profile: Path) -> webdriver.Chrome:
    """A browser whose files are in `profile`."""
    options = Options()
    options.binary_location = program("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    driver.set_page_load_timeout(PATIENCE)
    return driver


def until(condition: Callable[[], T], what: str = "") -> T:
    """The first true value of `condition`; fails the test if there is none in time."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never happened: {what or condition}; last: {value!r}"
        time.sleep(0.02)
    return value


class Tab:
    """One tab: its elements by id, and scripts run in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.handle = driver.current_window_handle

    def open(self, url: str) -> None:
        self.driver.get(url)

    def element(self, name: str) -> WebElement:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        """What an element holds, seen or not."""
        return str(self.element(name).get_property("textContent"))

    def run(self, script: str, *arguments: object) -> Any:
        """What the script returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, *arguments: object) -> Any:
        """The first true value of an expression in the page."""
        return until(lambda: self.run(f"return {script}", *arguments), script)

    def console(self) -> list[Any]:
        """What the pages of the browser had to complain of since the last call."""
        return list(self.driver.get_log("browser"))  # type: ignore[no-untyped-call]

    def another(self) -> "Tab":
        """A new tab of the same browser."""
        self.driver.switch_to.new_window("tab")
        return Tab(self.driver)

    def focus(self) -> None:
        self.driver.switch_to.window(self.handle)
