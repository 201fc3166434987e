"""
A folder's files as answers: which one a path means, in which coding, and what caches may do.

The HTTP of it is twisted.web's: `File` finds the files, its producers send them piece by piece.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from stat import S_ISREG
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from attrs import frozen
from twisted.logger import Logger
from twisted.web.http import (
    FOUND,
    NOT_FOUND,
    NOT_MODIFIED,
    PARTIAL_CONTENT,
    REQUESTED_RANGE_NOT_SATISFIABLE,
    RESPONSES,
    datetimeToString,
)
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as SiteRequest
from twisted.web.static import File, SingleRangeStaticProducer, getTypeAndEncoding

from orion_twisted.web.conditions import (
    codings_in_order,
    is_unchanged,
    may_be_partial,
    wanted_part,
)

CONTENT_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".html": "text/html",
    ".ico": "image/vnd.microsoft.icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
"""What a browser has to be told of what builds of web pages hold, whatever list of types this
machine has, or none."""
UNKNOWN_TYPE = "application/octet-stream"
"""What a browser is told of everything else: not to show it as a page."""

INDEX = "index.html"
SUFFIXES = {b"br": ".br", b"gzip": ".gz"}
"""What a file's name is with, where it is there compressed, too; by coding, the smaller first."""

HASHED = re.compile(r"-([\w-]{8})(\.[A-Za-z0-9]+)+\Z", re.ASCII)
"""How Vite ends the names in ``assets``: eight characters of base64url, and the extension."""
WORDS = re.compile(r"[^A-Z]*|[^a-z]*|([A-Z]?[a-z]{2,}[0-9_-]*)+")
"""What in that place may be no hash but somebody's own name, such as ``report-overview.js``. One
hash in twenty looks like that, too; its file is asked for each time, which does no harm."""

FOREVER = b"public, max-age=31536000, immutable"
ASK_FIRST = b"no-cache"

ODD_NAME = re.compile(r"\.|.*[/\\\x00-\x1f\x7f]", re.DOTALL)
"""A name that no page's own address has: hidden files, ways up, separators, control bytes."""


def cache_control(folders: Sequence[bytes], name: str, content_type: str) -> bytes:
    """
    Return what caches may do with a file.

    Args:
        folders: its way from the site's root.
        name: its own.
        content_type: a page is always asked for, whatever it is called.
    """
    if b"assets" in folders and content_type != "text/html":
        hashed = HASHED.search(name)
        if hashed is not None and not WORDS.fullmatch(hashed[1]):
            return FOREVER
    return ASK_FIRST


def is_route(names: Sequence[bytes]) -> bool:
    """
    Say whether a path may be an address inside the site's one page, whose script reads it.

    Such an address is no file's: there is no dot in its last name. A missing script or picture
    must not be answered by a page, nor anything below ``.well-known``, where clients take a page
    for a yes.

    Args:
        names: the path's segments, percent-decoded; the last one is empty after a slash.
    """
    try:
        *folders, last = (name.decode("utf-8") for name in names)
    except UnicodeDecodeError:
        return False
    return "." not in last and all(folders) and not any(map(ODD_NAME.match, (*folders, last)))


def fixed_answer(request: SiteRequest, status: int) -> bytes:
    """Return the body of an answer that says no more than its status."""
    body = RESPONSES[status] + b"\n"
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    request.setHeader(b"content-length", b"%d" % len(body))
    # To HEAD a body would not be sent but complained of, with the address, in the log.
    return b"" if request.method == b"HEAD" else body


class PageNotFound(Resource):
    """The answer for what is not there: fixed, and without the name that was asked for."""

    isLeaf = True

    def render(self, request: SiteRequest) -> bytes:
        return fixed_answer(request, NOT_FOUND)


NOT_THERE = PageNotFound()


@frozen
class Form:
    """
    A file as it is sent: as it is, or compressed.

    Attributes:
        file: open; whoever gets it closes it.
        coding: how it is compressed, or empty.
        size: in bytes.
        modified_ns: when it was changed, in nanoseconds since 1970.
    """

    file: BinaryIO
    coding: bytes
    size: int
    modified_ns: int

    @classmethod
    def of(cls, file: BinaryIO, coding: bytes = b"") -> Form:
        """Look at the open file: one of its name may be another one by now."""
        status = os.fstat(file.fileno())
        return cls(file, coding, status.st_size, status.st_mtime_ns)

    @property
    def modified(self) -> int:
        """When it was changed, in seconds since 1970, as dates in HTTP are."""
        return self.modified_ns // 1_000_000_000

    @property
    def tag(self) -> bytes:
        """Its entity tag. Two forms never share one, even if sizes and times are the same."""
        coding = b"-" + self.coding if self.coding else b""
        return b'"%x-%x%s"' % (self.size, self.modified_ns, coding)


class FilePart(SingleRangeStaticProducer):
    """
    Send as much of a file as has been announced, piece by piece as the browser takes it.

    A file that has become shorter since cuts the connection off: the browser then knows that
    something is missing, and the next answer is not taken for the rest.
    """

    _log = Logger()
    request: Any
    bytesWritten: int

    def resumeProducing(self) -> None:
        if self.request is None:
            return
        before = self.bytesWritten
        problem = "it has become shorter"
        try:
            super().resumeProducing()
        except OSError as error:
            problem = str(error)
        if self.request is not None and self.bytesWritten == before:
            self._log.warn(
                "cannot send {file} to its end: {problem}",
                file=self.fileObject.name,
                problem=problem,
            )
            transport = self.request.transport
            self.request.unregisterProducer()
            self.stopProducing()
            transport.abortConnection()


class PageFolder(File):
    """
    Files below one folder.

    Folders are not listed, and names that begin with a dot are not there (but ``.well-known``).
    Symbolic links are followed, also out of the folder: whoever may make one in it owns it.
    """

    contentTypes = {**File.contentTypes, **CONTENT_TYPES}
    indexNames = [INDEX]
    childNotFound: Any = NOT_THERE

    def directoryListing(self) -> IResource:
        return NOT_THERE

    def getChild(self, path: bytes, request: SiteRequest) -> IResource:
        if path.startswith(b".") and path != b".well-known":
            return NOT_THERE
        try:
            path.decode("utf-8")
            child: IResource = super().getChild(path, request)
        except ValueError:  # no UTF-8, or a NUL: not worth a traceback in the log
            return NOT_THERE
        if isinstance(child, PageFolder) and not (child.isfile() or (path and child.isdir())):
            return NOT_THERE  # to open a FIFO would wait for its other end
        return child

    def is_bare(self) -> bool:
        """Say whether this is a folder without a page of its own."""
        return self.isdir() and not self.child(INDEX).isfile()

    def redirect(self, request: SiteRequest) -> bytes:
        """
        Lead from ``/folder`` to ``/folder/``, on this host.

        The path is put together anew from names that were found, so that it never begins with
        two slashes, which would be another host.
        """
        path = "".join(f"/{quote(name, safe='')}" for name in request.prepath or ())
        _, mark, query = request.uri.partition(b"?")
        request.setHeader(b"location", path.encode("ascii") + b"/" + mark + query)
        return fixed_answer(request, FOUND)

    def render_GET(self, request: SiteRequest) -> bytes | int:
        if self.isdir():
            return self.redirect(request)
        with ExitStack() as opened:
            try:
                form = self._open(request)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                return NOT_THERE.render(request)
            opened.enter_context(form.file)
            part = self._begin(request, form)
            if part is None:
                return b""
            producer = FilePart(request, form.file, part.start, len(part))
            opened.pop_all()  # the producer closes it
        producer.start()
        return NOT_DONE_YET

    render_HEAD = render_GET

    def _open(self, request: SiteRequest) -> Form:
        """
        Open the file, or a compressed one beside it that the browser would rather have.

        Raises:
            OSError: the file cannot be had.
        """
        available = self._compressed(os.stat(self.path).st_mtime_ns)
        if available:
            request.setHeader(b"vary", b"Accept-Encoding")
        for coding in codings_in_order(request.getHeader(b"accept-encoding"), available):
            with suppress(OSError):  # not for us, or gone: then as if it had never been there
                return Form.of(open(self.path + SUFFIXES[coding], "rb"), coding)
        return Form.of(cast(BinaryIO, self.openForReading()))

    def _compressed(self, modified_ns: int) -> list[bytes]:
        """Return in which codings the file is there. One older than the file is of another one."""
        codings = []
        for coding, suffix in SUFFIXES.items():
            with suppress(OSError):
                status = os.stat(self.path + suffix)
                if S_ISREG(status.st_mode) and status.st_mtime_ns >= modified_ns:
                    codings.append(coding)
        return codings

    def _begin(self, request: SiteRequest, form: Form) -> range | None:
        """Set status and headers; return which bytes follow, or None if no body does."""
        name = self.basename()
        type_, _ = getTypeAndEncoding(name, self.contentTypes, {}, self.defaultType)
        folders = (request.prepath or [])[:-1]
        request.setHeader(b"etag", form.tag)
        request.setHeader(b"last-modified", datetimeToString(form.modified))
        request.setHeader(b"cache-control", cache_control(folders, name, type_))
        if is_unchanged(
            request.getHeader(b"if-none-match"),
            request.getHeader(b"if-modified-since"),
            form.tag,
            form.modified,
        ):
            request.setResponseCode(NOT_MODIFIED)
            return None
        part = self._part(request, form)
        request.setHeader(b"accept-ranges", b"bytes")
        if part is None:
            part = range(form.size)
        elif not part:
            request.setResponseCode(REQUESTED_RANGE_NOT_SATISFIABLE)
            request.setHeader(b"content-range", b"bytes */%d" % form.size)
            return None
        else:
            request.setResponseCode(PARTIAL_CONTENT)
            span = (part.start, part.stop - 1, form.size)
            request.setHeader(b"content-range", b"bytes %d-%d/%d" % span)
        request.setHeader(b"content-type", type_.encode("ascii"))
        request.setHeader(b"content-length", b"%d" % len(part))
        if form.coding:
            request.setHeader(b"content-encoding", form.coding)
        return None if request.method == b"HEAD" else part

    @staticmethod
    def _part(request: SiteRequest, form: Form) -> range | None:
        """Return which part the browser wants and can use; ranges are for GET alone."""
        asked = request.getHeader(b"range")
        if asked is None or request.method != b"GET":
            return None
        if not may_be_partial(request.getHeader(b"if-range"), form.tag, form.modified):
            return None
        return wanted_part(asked, form.size)
