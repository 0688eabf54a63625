"""One file for each protocol that an open port can speak."""
