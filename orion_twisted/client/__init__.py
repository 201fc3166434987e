"""A Twisted client of session mode: its sockets may break, its messages have one outcome."""
