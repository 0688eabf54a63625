"""Pushline: a real-time push server. A back end writes one line; every tab of that user has it."""

__version__ = "0.1.0"
__all__ = ["__version__"]
