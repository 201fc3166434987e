"""Secure WebSocket gateway that puts a TCP application into a web page."""

__version__ = "0.1.0"
