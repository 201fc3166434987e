"""Protocol logic without I/O: bytes, events and times come in; messages and actions go out."""
