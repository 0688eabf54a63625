"""The configuration: a table of settings, read from a file, the environment and flags."""

from pushline.address import Address
from pushline.config.rules import check
from pushline.config.sections import Config, Limits
from pushline.config.settings import KEYS, describe, load, read

__all__ = ["KEYS", "Address", "Config", "Limits", "check", "describe", "load", "read"]
