"""Bridges as one would write them on other libraries: one message, one length-prefixed frame."""
