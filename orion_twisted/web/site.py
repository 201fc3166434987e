"""
A tenant's pages behind the gate: the connection's part of twisted.web, and the site that it is of.

What the files are answered with is said in `orion_twisted.web.pages`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import NOT_MODIFIED, OK, PARTIAL_CONTENT, HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource
from twisted.web.server import Request as SiteRequest
from twisted.web.server import Site

from orion_twisted.core.handshake import frame_ancestors
from orion_twisted.core.settings import Tenant
from orion_twisted.web.facts import FACTS_PATH, Facts, facts_of
from orion_twisted.web.pages import NOT_THERE, UNKNOWN_TYPE, PageFolder, is_route

KEEP_ALIVE = 60
"""Seconds for which a connection waits for its next request."""

PAGE_HEADERS = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
)
"""What every page says to the browser, beside its Content-Security-Policy."""

POLICY = b"object-src 'none'; base-uri 'self'; "
"""The part of that policy that no page needs to differ in; what a page may load is for the page
to say, in a policy of its own."""


class PageRequest(SiteRequest):
    """A request for a page: no version in the answer, and the headers that every page has."""

    site: Any  # a `PageSite`

    def write(self, data: bytes) -> None:
        if not self.startedWriting:
            self.responseHeaders.removeHeader(b"server")
            if self.code == NOT_MODIFIED:
                # twisted.web says 0 here, but it would have to be the size of the page.
                self.responseHeaders.removeHeader(b"content-length")
            if self.code not in (OK, PARTIAL_CONTENT, NOT_MODIFIED):
                self.setHeader(b"Cache-Control", b"no-store")  # what is wrong now may be mended
            for name, value in self.site.headers:
                self.setHeader(name, value)
        super().write(data)


class PageChannel(HTTPChannel):
    """
    A connection's pages, one request at a time, as the gate lets them through.

    A browser that takes nothing for `KEEP_ALIVE` seconds is cut off, in the middle of a page, too.
    """

    def __init__(self, site: PageSite, page_done: Callable[[bool], None], reactor: Any) -> None:
        super().__init__()
        self.site = site
        self.factory = site
        self.requestFactory = PageRequest
        self.timeOut = KEEP_ALIVE
        self.callLater = reactor.callLater  # type: ignore[method-assign]
        self._page_done = page_done
        self._full = False
        self._answered = False

    def requestDone(self, request: HttpRequest) -> None:
        super().requestDone(request)
        self.setTimeout(KEEP_ALIVE)
        self._answered = True
        if not (self._full and self.persistent):
            self._say_done()

    def pauseProducing(self) -> None:
        self._full = True
        super().pauseProducing()
        self.setTimeout(KEEP_ALIVE)

    def resumeProducing(self) -> None:
        self._full = False
        super().resumeProducing()
        if self._answered:
            self._say_done()
        elif self.requests:
            self.setTimeout(None)

    def _say_done(self) -> None:
        """Let the next request come: only now, or answers that nobody takes would pile up."""
        self._answered = False
        if not self.persistent:
            self.loseConnection()  # the gate may have said so after the answer
        self._page_done(bool(self.persistent))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # The transport stops whoever produces; but `loseConnection` has made it forget us, where
        # a browser was too slow, and the page's file would stay open.
        self.stopProducing()
        self.unregisterProducer()
        super().connectionLost(reason)

    def timeoutConnection(self) -> None:
        super().timeoutConnection()
        self._page_done(False)


class PageSite(Site):
    """
    The pages of one folder, and what they may know of their tenant.

    Args:
        folder: where they are.
        tenant: whose; its ``embed_in`` says which pages may show them in a frame.
        reactor: for timers.
    """

    def __init__(self, folder: Path, tenant: Tenant, reactor: IReactorTime) -> None:
        super().__init__(
            PageFolder(str(folder), UNKNOWN_TYPE), timeout=KEEP_ALIVE, reactor=reactor
        )
        self.displayTracebacks = False
        self._reactor = reactor
        self._facts = Facts(facts_of(tenant))
        self.policy = POLICY + frame_ancestors(tenant.embed_in)
        self.headers = (
            *PAGE_HEADERS,
            (b"Content-Security-Policy", self.policy),
            (
                b"Cross-Origin-Resource-Policy",
                b"cross-origin" if tenant.embed_in else b"same-origin",
            ),
        )

    def getResourceFor(self, request: SiteRequest) -> IResource:
        """
        Find the file of a path, or the site's own page for one that its script understands.

        A folder without an index is no page: to tell it from nothing would show what is there.
        The facts come from the settings even where the folder has a file of their name: a page
        that was built with other settings must not be led by them.
        """
        names = tuple(request.postpath or ())
        if names == FACTS_PATH:
            return self._facts
        page: IResource = super().getResourceFor(request)
        if isinstance(page, PageFolder) and page.is_bare():
            page = NOT_THERE
        if page is NOT_THERE and is_route(names):
            page = self.resource.getChildWithDefault(b"", request)
        return page

    def log(self, request: HttpRequest) -> None:
        """Write no access log as twisted.web does: it has queries in it, and they are secret."""

    def channel(self, page_done: Callable[[bool], None]) -> PageChannel:
        """
        Return a channel for one connection.

        Args:
            page_done: called after each answer, with whether another request may come.
        """
        return PageChannel(self, page_done, self._reactor)
