"""One browser for all tests of this folder; a tab and a peer for each of them."""

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.web import chromium
from tests.web.chromium import Tab
from tests.web.servers import Peer


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver = chromium.start(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture
def tab(driver: webdriver.Chrome) -> Iterator[Tab]:
    """A new one; it and those that the test opens are closed after it."""
    first = driver.current_window_handle
    yield Tab(driver).another()
    for handle in driver.window_handles:
        if handle != first:
            driver.switch_to.window(handle)
            driver.close()
    driver.switch_to.window(first)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer
