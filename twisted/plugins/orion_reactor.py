"""Make `twistd --reactor=orion` known to Twisted; it is imported when somebody asks for it."""

from twisted.application.reactors import Reactor

orion_reactor = Reactor(
    "orion",
    "orion_twisted.net.leanreactor",
    "epoll(7) based reactor with a shorter way to what can be read.",
)
