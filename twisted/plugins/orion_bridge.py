"""Make `twistd orion-bridge` known to Twisted. This folder must never get an ``__init__.py``."""

from twisted.application.service import ServiceMaker

orion_bridge = ServiceMaker(
    "Orion bridge",
    "orion_twisted.tap",
    "Secure WebSocket gateway that puts a TCP application into a web page.",
    "orion-bridge",
)
