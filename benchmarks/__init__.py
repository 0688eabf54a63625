"""Pushline beside `floor.c`, the least that a push server can do. Started by `scripts/bench`."""
