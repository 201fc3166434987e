"""Whose pages may connect: the rule of `Origin`, in all that browsers and others send."""

from __future__ import annotations

from tests.abuse.attack import Attack, add_tests, says
from tests.abuse.attacker import SERVED, Outcome, refused
from tests.abuse.siege import MARK, SiegeTestCase
from tests.e2e.answers import upgrade

OWN = "localhost"
"""A tenant without ``origins``: pages of the request's own host may connect."""
LISTED = "listed.example"
"""A tenant with ``origins``, neither tokens nor ``allow_no_origin``."""
LENIENT = "lenient.example"
"""The same with ``allow_no_origin``."""
NULL = "null.example"
ANY = "any.example"

FORBIDDEN = refused(403)


def asked(host: str, *origins: str) -> bytes:
    """Return an upgrade with these Origin headers."""
    return upgrade(f"/ws?{MARK}", *(f"Origin: {origin}" for origin in origins), host=host)


# Each row: what is asked, the host, the Origin headers (one in most cases), what comes of it.
Row = tuple[str, str, tuple[str, ...], Outcome]

WELCOME: list[Row] = [
    ("own, none", OWN, (), SERVED),
    ("own, of the same host", OWN, ("https://localhost",), SERVED),
    ("own, without TLS", OWN, ("http://localhost",), SERVED),
    ("own, another port", OWN, ("https://localhost:8443",), SERVED),
    ("own, upper case", OWN, ("HTTPS://LOCALHOST",), SERVED),
    ("own, a trailing dot", OWN, ("https://localhost.",), SERVED),
    ("listed, as listed", LISTED, ("https://shop.example",), SERVED),
    ("listed, its default port", LISTED, ("https://shop.example:443",), SERVED),
    ("listed, upper case", LISTED, ("https://SHOP.Example",), SERVED),
    ("listed, a trailing dot", LISTED, ("https://shop.example.",), SERVED),
    ("listed, with a port", LISTED, ("https://other.example:8443",), SERVED),
    ("listed, an A-label", LISTED, ("https://xn--mller-kva.example",), SERVED),
    ("lenient, none", LENIENT, (), SERVED),
    ("lenient, as listed", LENIENT, ("https://shop.example",), SERVED),
    ("null, null", NULL, ("null",), SERVED),
    ("any, anything", ANY, (f"https://{MARK}.example",), SERVED),
    ("any, null", ANY, ("null",), SERVED),
    ("any, garbage", ANY, ("garbage",), SERVED),
]

FOREIGN: list[Row] = [
    (f"{name}, {what}", host, origins, FORBIDDEN)
    for name, host, ours in (
        ("own", OWN, "localhost"),
        ("listed", LISTED, "shop.example"),
    )
    for what, origins in {
        "foreign": (f"https://{MARK}.example",),
        "below it": (f"https://a.{ours}",),
        "a suffix of it": (f"https://evil{ours}",),
        "a prefix of it": (f"https://{ours}.evil.example",),
        "as a user": (f"https://{ours}@evil.example",),
        "as a path": (f"https://evil.example/{ours}",),
        "as a fragment": (f"https://evil.example#{ours}",),
        "behind a backslash": (f"https://evil.example\\{ours}",),
        "without a scheme": (ours,),
        "another scheme": (f"ftp://{ours}",),
        "a scheme of scripts": (f"javascript://{ours}",),
        "an extension": ("chrome-extension://abcdefghijklmnop",),
        "a file": ("file://",),
        "with a path": (f"https://{ours}/",),
        "with a query": (f"https://{ours}?a",),
        "with a user": (f"https://a@{ours}",),
        "an empty port": (f"https://{ours}:",),
        "port 0": (f"https://{ours}:0",),
        "port 65536": (f"https://{ours}:65536",),
        "a port in letters": (f"https://{ours}:https",),
        "two ports": (f"https://{ours}:443:443",),
        "two dots": (f"https://{ours}..",),
        "a list of two": (f"https://{ours} https://{ours}",),
        "a list with commas": (f"https://{ours}, https://{ours}",),
        "two headers": (f"https://{ours}", f"https://{ours}"),
        "two that differ": (f"https://{ours}", "https://evil.example"),
        "null and more": ("null null",),
        "null in capitals": ("NULL",),
        "nothing": ("",),
        "a star": ("*",),
        "a wildcard": (f"https://*.{ours}",),
        "letters beyond ASCII": (f"https://{ours}\xff",),
        "encoded": (f"https://%{ord(ours[0]):x}{ours[1:]}",),
        "of 10 KiB": (f"https://{'a' * 10_000}.{ours}",),
    }.items()
] + [
    ("own, null", OWN, ("null",), FORBIDDEN),
    ("listed, null", LISTED, ("null",), FORBIDDEN),
    ("listed, another port", LISTED, ("https://shop.example:8443",), FORBIDDEN),
    ("listed, the default port of another", LISTED, ("https://other.example",), FORBIDDEN),
    ("listed, without TLS", LISTED, ("http://shop.example",), FORBIDDEN),
    ("listed, that of WebSockets", LISTED, ("wss://shop.example",), FORBIDDEN),
    ("listed, the host of the request", LISTED, ("https://listed.example",), FORBIDDEN),
    ("lenient, foreign", LENIENT, ("https://evil.example",), FORBIDDEN),
    ("lenient, null", LENIENT, ("null",), FORBIDDEN),
    ("null only, null in capitals", NULL, ("NULL",), FORBIDDEN),
    ("null only, nothing", NULL, ("",), FORBIDDEN),
    ("null only, two of them", NULL, ("null null",), FORBIDDEN),
    ("null only, the host of the request", NULL, ("https://null.example",), FORBIDDEN),
    ("any, two headers", ANY, ("https://a.example", "https://a.example"), FORBIDDEN),
]

MISSING: list[Row] = [
    ("listed, none", LISTED, (), FORBIDDEN),
    ("null only, none", NULL, (), FORBIDDEN),
    ("any, none", ANY, (), FORBIDDEN),
]


def attacks(rows: list[Row], reason: str = "") -> list[Attack]:
    return [
        Attack(f"origin {name}", says(asked(host, *origins)), expected, reason)
        for name, host, origins, expected in rows
    ]


class OriginTests(SiegeTestCase):
    """A page connects if its origin is the tenant's, and in no other way."""

    settings = """
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        [tenant.shop2]
        hosts = ["listed.example"]
        backend = "{backend}"
        origins = ["https://shop.example", "https://other.example:8443", "https://xn--mller-kva.example"]
        [tenant.shop3]
        hosts = ["lenient.example"]
        backend = "{backend}"
        origins = ["https://shop.example"]
        allow_no_origin = true
        [tenant.shop4]
        hosts = ["null.example"]
        backend = "{backend}"
        origins = ["null"]
        [tenant.shop5]
        hosts = ["any.example"]
        backend = "{backend}"
        origins = ["*"]
        """


add_tests(
    OriginTests,
    [*attacks(WELCOME), *attacks(FOREIGN, "origin"), *attacks(MISSING, "origin_missing")],
)
