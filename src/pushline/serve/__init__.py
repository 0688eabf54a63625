"""`pushline serve`: the server in this process, or in several that share its ports."""
