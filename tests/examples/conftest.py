"""The browser of the web tests."""

from tests.web.conftest import driver, tab

__all__ = ["driver", "tab"]
