"""
What a tenant's own pages may know of it: one small JSON object at a fixed address of its host.

A page that was built once serves any tenant: it asks here where the WebSocket is, which mode it
speaks, and whose pages may be around it.
"""

from __future__ import annotations

import json
from hashlib import sha256

from twisted.web.http import NOT_MODIFIED
from twisted.web.resource import Resource
from twisted.web.server import Request as SiteRequest

from orion_twisted.core.settings import Tenant
from orion_twisted.web.conditions import is_unchanged

FACTS_PATH = (b".well-known", b"orion-bridge.json")
"""The address, as the segments of its path (RFC 8615)."""


def facts_of(tenant: Tenant) -> bytes:
    """
    Return the JSON object with what may be known of a tenant.

    All of it can be seen by trying: the path and mode by connecting, the origins in
    ``frame-ancestors``. Nothing of backends, tokens or limits is in it.
    """
    facts = {"path": tenant.path, "mode": tenant.mode, "embed_in": tenant.embed_in}
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


class Facts(Resource):
    """
    The answer with a tenant's facts, made once: settings do not change under a running gateway.

    Args:
        body: see `facts_of`.
    """

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body
        self._tag = b'"%s"' % sha256(body).hexdigest()[:32].encode("ascii")

    def render_GET(self, request: SiteRequest) -> bytes:
        request.setHeader(b"etag", self._tag)
        request.setHeader(b"cache-control", b"no-cache")
        # No Last-Modified: settings have no time of change, and the tag says all.
        if is_unchanged(request.getHeader(b"if-none-match"), None, self._tag, 0):
            request.setResponseCode(NOT_MODIFIED)
            return b""
        request.setHeader(b"content-type", b"application/json")
        request.setHeader(b"content-length", b"%d" % len(self._body))
        return b"" if request.method == b"HEAD" else self._body

    render_HEAD = render_GET
