"""A tenant's pages: files of a folder, served by twisted.web behind the gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request as SiteRequest
from twisted.web.server import Site
from twisted.web.static import File

KEEP_ALIVE = 60
"""Seconds for which a connection waits for its next request."""

PAGE_HEADERS = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (
        b"Content-Security-Policy",
        b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
        b"frame-ancestors 'self'",
    ),
)
"""What every page says to the browser."""


class PageNotFound(Resource):
    """The answer for what is not there: fixed, and without the name that was asked for."""

    isLeaf = True

    def render(self, request: SiteRequest) -> bytes:
        request.setResponseCode(404)
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"Not Found\n"


class PageFolder(File):
    """Files below one folder; folders are not listed."""

    childNotFound: Any = PageNotFound()

    def directoryListing(self) -> IResource:
        return PageNotFound()


class PageRequest(SiteRequest):
    """A request for a page: no version in the answer, and the headers that every page has."""

    def write(self, data: bytes) -> None:
        if not self.startedWriting:
            self.responseHeaders.removeHeader(b"server")
            for name, value in PAGE_HEADERS:
                self.responseHeaders.setRawHeaders(name, [value])
        super().write(data)


class PageChannel(HTTPChannel):
    """A connection's pages, one request at a time, as the gate lets them through."""

    def __init__(self, site: PageSite, page_done: Callable[[], None], reactor: Any) -> None:
        super().__init__()
        self.site = site
        self.factory = site
        self.requestFactory = PageRequest
        self.timeOut = KEEP_ALIVE
        self.callLater = reactor.callLater  # type: ignore[method-assign]
        self._page_done = page_done

    def requestDone(self, request: HttpRequest) -> None:
        super().requestDone(request)
        self._page_done()


class PageSite(Site):
    """The pages of one folder."""

    def __init__(self, folder: Path, reactor: IReactorTime) -> None:
        super().__init__(PageFolder(str(folder)), timeout=KEEP_ALIVE, reactor=reactor)
        self.displayTracebacks = False
        self._reactor = reactor

    def log(self, request: HttpRequest) -> None:
        """Write no access log as twisted.web does: it has queries in it, and they are secret."""

    def channel(self, page_done: Callable[[], None]) -> PageChannel:
        """
        Return a channel for one connection.

        Args:
            page_done: called after each answer.
        """
        return PageChannel(self, page_done, self._reactor)
