"""Processes that are kept running: their supervisor, what it says to them, and their life."""
