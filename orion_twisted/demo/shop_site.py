"""
The shop's web site: its pages, who visits it, and what its pages may have done.

It knows who is signed in, by a cookie of its own, and signs tokens for them. Its page loads the
gateway's ``embed.js``, and nothing else that is foreign.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any, ClassVar

from attrs import Factory, define, frozen
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.pages import CONTENT_TYPES
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint

PAGES = Path(__file__).parent / "shop_pages"
"""The folder of the shop's own pages."""

COOKIE = b"__Host-shop"
"""Its prefix makes browsers insist on ``Secure``, ``Path=/`` and no ``Domain``."""
TOKEN_LIFE = 60
"""Seconds that a token is good for; the editor asks for another one for each connection."""
MAX_VISITS = 10_000
"""Visits that are remembered; the one that was away longest goes first."""
MAX_CART = 50
"""Designs in one cart."""
MAX_BODY = 4096
"""Bytes of a request's body."""
MAX_TEXT = 200
"""Characters of a design's name or id."""
KEEP_ALIVE = 60
"""Seconds for which a connection waits for its next request."""

JSON = "application/json"


@frozen
class Item:
    """A design in a cart, as the editor has named it, and how many of it."""

    design: str
    title: str
    quantity: int


@define
class Visit:
    """
    What the shop remembers of a browser.

    Attributes:
        customer: who has signed in; None after signing out.
        cart: what they want to buy.
    """

    customer: str | None
    cart: list[Item] = Factory(list)


class Visits:
    """All visits by their secret ids, `MAX_VISITS` at most."""

    def __init__(self) -> None:
        self._visits: OrderedDict[str, Visit] = OrderedDict()

    def begin(self) -> tuple[str, Visit]:
        """Begin a visit, signed in as a new guest; return its id, too."""
        visit_id, visit = token_urlsafe(24), Visit(f"guest-{token_hex(3)}")
        self._visits[visit_id] = visit
        if len(self._visits) > MAX_VISITS:
            self._visits.popitem(last=False)
        return visit_id, visit

    def find(self, visit_id: str) -> Visit | None:
        """Return a visit, and keep it longer than all others."""
        if visit_id not in self._visits:
            return None
        self._visits.move_to_end(visit_id)
        return self._visits[visit_id]


class Mint:
    """
    Where the shop's tokens are made.

    Args:
        tenant: the shop, as the gateway's settings call it.
        key_file: the secret that both have.
        now: gives seconds since 1970.

    Raises:
        ValueError: the key cannot be used.
    """

    def __init__(
        self,
        tenant: str,
        key_file: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._tenant = tenant
        self._settings = TokenSettings(key_file=str(key_file))
        self._key = signing_key(load_keys(key_file, self._settings.algorithms), None, None)
        self._now = now

    def token(self, customer: str, parent_origin: str) -> str:
        """
        Return a token that lets one customer in, once, within `TOKEN_LIFE` seconds.

        Args:
            customer: whom the gateway's log and the backend will know.
            parent_origin: of the page around the editor.
        """
        return mint(
            self._tenant,
            self._settings,
            self._key,
            self._now(),
            TOKEN_LIFE,
            parent_origin=parent_origin,
            subject=customer,
        )


@define
class Shop:
    """
    What the whole site shares.

    Attributes:
        origin: its own.
        editor_origin: where the editor is; may be set until the first browser comes.
        mint: of its tokens.
    """

    origin: str
    editor_origin: str
    mint: Mint
    _visits: Visits = Factory(Visits)

    def visit_of(self, request: Request) -> Visit | None:
        """Return the visit that a request's cookie is of."""
        cookie = request.getCookie(COOKIE)
        return None if cookie is None else self._visits.find(cookie.decode("latin-1"))

    def begin_visit(self, request: Request) -> Visit:
        """Begin a visit, and have the browser keep its id."""
        visit_id, visit = self._visits.begin()
        request.addCookie(COOKIE, visit_id, path=b"/", secure=True, httpOnly=True, sameSite=b"lax")
        return visit


class ShopRequest(Request):
    """A request whose body has a limit, and an answer that has the shop's headers."""

    site: Any  # a `ShopSite`
    channel: Any

    def gotLength(self, length: int | None) -> None:
        # twisted.web keeps a body of any size, and asks nobody first.
        if length is None or length > MAX_BODY:
            self.channel.transport.abortConnection()
            length = 0
        super().gotLength(length)

    def write(self, data: bytes) -> None:
        if not self.startedWriting:
            self.responseHeaders.removeHeader(b"server")
            for name, value in self.site.headers:
                self.setHeader(name, value)
        super().write(data)


def answer(request: Request, status: HTTPStatus, content_type: str, body: bytes) -> bytes:
    """Set what an answer says of its body, and return as much of that as the method wants."""
    request.setResponseCode(status)
    if content_type.startswith("text/"):
        content_type += "; charset=utf-8"
    request.setHeader(b"content-type", content_type.encode("ascii"))
    request.setHeader(b"content-length", b"%d" % len(body))
    return b"" if request.method == b"HEAD" else body


def answer_json(request: Request, value: object, status: HTTPStatus = HTTPStatus.OK) -> bytes:
    """Answer with what is for this browser alone."""
    request.setHeader(b"cache-control", b"no-store")
    return answer(request, status, JSON, json.dumps(value).encode("ascii"))


def refuse(request: Request, status: HTTPStatus) -> bytes:
    """Answer with a status, and nothing of the request."""
    return answer_json(request, {"error": status.phrase}, status)


class ShopFile(Resource):
    """One of the shop's files, or its page, with the editor's origin put into it."""

    isLeaf = True
    EDITOR = b"{{editor}}"

    def __init__(self, shop: Shop, path: Path) -> None:
        super().__init__()
        self._shop = shop
        self._type = CONTENT_TYPES[path.suffix]
        self._content = path.read_bytes()

    def render_GET(self, request: Request) -> bytes:
        content = self._content
        if self._type == "text/html":
            content = content.replace(self.EDITOR, self._shop.editor_origin.encode("ascii"))
            if self._shop.visit_of(request) is None:
                self._shop.begin_visit(request)
        request.setHeader(b"cache-control", b"no-store")  # the page has the visit's cookie
        return answer(request, HTTPStatus.OK, self._type, content)


class Account(Resource):
    """Who is signed in, and their cart, as JSON."""

    isLeaf = True

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self._shop = shop

    def render_GET(self, request: Request) -> bytes:
        visit = self._shop.visit_of(request)
        return answer_json(request, describe(visit))


def describe(visit: Visit | None) -> dict[str, Any]:
    """Return what the page shows of a visit."""
    if visit is None:
        return {"customer": None, "cart": []}
    cart = [
        {"design": each.design, "title": each.title, "quantity": each.quantity}
        for each in visit.cart
    ]
    return {"customer": visit.customer, "cart": cart}


class Deed(Resource, ABC):
    """
    Something that the shop's own page may have done, by POST.

    No other page may, whatever cookies the browser sends along: browsers say with every POST which
    origin it is from.
    """

    isLeaf = True

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self._shop = shop

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"allow", b"POST")
        return refuse(request, HTTPStatus.METHOD_NOT_ALLOWED)

    def render_POST(self, request: Request) -> bytes:
        if request.getHeader(b"origin") != self._shop.origin.encode("ascii"):
            return refuse(request, HTTPStatus.FORBIDDEN)
        return self.do(request)

    @abstractmethod
    def do(self, request: Request) -> bytes:
        """Do it, and return the answer."""


class OrionToken(Deed):
    """A token for the editor, for whoever is signed in."""

    def do(self, request: Request) -> bytes:
        visit = self._shop.visit_of(request)
        if visit is None or visit.customer is None:
            return refuse(request, HTTPStatus.UNAUTHORIZED)
        token = self._shop.mint.token(visit.customer, self._shop.origin)
        return answer_json(request, {"token": token})


class SignIn(Deed):
    """Sign in, as a guest: a visit begins anew, under an id that nobody has seen."""

    def do(self, request: Request) -> bytes:
        return answer_json(request, describe(self._shop.begin_visit(request)))


class SignOut(Deed):
    """Sign out: no more tokens."""

    def do(self, request: Request) -> bytes:
        visit = self._shop.visit_of(request)
        if visit is not None:
            visit.customer = None
        return answer_json(request, describe(visit))


class Cart(Deed):
    """Put a design into the cart; one that is there already gets the new number."""

    def do(self, request: Request) -> bytes:
        visit = self._shop.visit_of(request)
        if visit is None or visit.customer is None:
            return refuse(request, HTTPStatus.UNAUTHORIZED)
        item = _item(request.content.read() if request.content else b"")
        if item is None:
            return refuse(request, HTTPStatus.BAD_REQUEST)
        others = [each for each in visit.cart if each.design != item.design]
        if len(others) >= MAX_CART:
            return refuse(request, HTTPStatus.CONFLICT)
        visit.cart = [*others, item]
        return answer_json(request, describe(visit))


def _item(body: bytes) -> Item | None:
    """Return what a page has ordered, or None if it makes no sense."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    match value:
        case {"design": str(design), "title": str(title), "quantity": int(quantity)}:
            is_good = 1 <= len(design) <= MAX_TEXT and len(title) <= MAX_TEXT
            is_number = not isinstance(quantity, bool) and 1 <= quantity <= 10_000
            return Item(design, title, quantity) if is_good and is_number else None
    return None


class Elsewhere(Resource):
    """The answer to all that is not there, or not asked of this host."""

    isLeaf = True

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__()
        self._status = status

    def render(self, request: Request) -> bytes:
        return refuse(request, self._status)


class ShopSite(Site):
    """
    The shop behind its port.

    Args:
        shop: whose pages and deeds they are.
        reactor: for timers.
    """

    noisy = False
    requestFactory = ShopRequest
    DEEDS: ClassVar[dict[bytes, type[Deed]]] = {
        b"orion-token": OrionToken,
        b"sign-in": SignIn,
        b"sign-out": SignOut,
        b"cart": Cart,
    }

    def __init__(self, shop: Shop, reactor: Any) -> None:
        root = Resource()
        for path in PAGES.iterdir():
            name = b"" if path.name == "index.html" else path.name.encode("ascii")
            root.putChild(name, ShopFile(shop, path))
        root.putChild(b"account", Account(shop))
        for name, deed in self.DEEDS.items():
            root.putChild(name, deed(shop))
        super().__init__(root, timeout=KEEP_ALIVE, reactor=reactor, parsePOSTFormSubmission=False)
        self.displayTracebacks = False
        self._shop = shop
        self._children: dict[bytes, Resource] = root.children

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer says to the browser."""
        editor = self._shop.editor_origin
        policy = (
            f"default-src 'none'; script-src 'self' {editor}; style-src 'self'; img-src 'self'; "
            f"connect-src 'self'; frame-src {editor}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return [
            (b"Content-Security-Policy", policy.encode("ascii")),
            (b"Cross-Origin-Resource-Policy", b"same-origin"),
            (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]

    def getResourceFor(self, request: Request) -> Resource:
        """Find what a path means: there are no folders."""
        if f"https://{(request.getHeader(b'host') or b'').decode('latin-1')}" != self._shop.origin:
            # A name of somebody else's that leads here would make their page our own.
            return Elsewhere(HTTPStatus.MISDIRECTED_REQUEST)
        name = b"/".join(request.postpath or ())
        return self._children.get(name) or Elsewhere(HTTPStatus.NOT_FOUND)

    def log(self, request: HttpRequest) -> None:
        """Write no access log: each token and event would have a line in it."""
