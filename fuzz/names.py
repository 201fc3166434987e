"""Host names: one spelling each, and the table that answers them."""

from __future__ import annotations

import re
from ipaddress import ip_address

from orion_twisted.core.hostnames import (
    LONGEST_NAME,
    NameTable,
    host_of,
    normalise,
    normalise_pattern,
)

TABLE: NameTable[str] = NameTable(
    {
        "localhost": "exact",
        "a.shop.example": "exact",
        "*.shop.example": "wildcard",
        "192.0.2.1": "address",
        "2001:db8::1": "address",
        "xn--mller-kva.example": "exact",
    }
)
WITH_ALL: NameTable[str] = NameTable({"*": "all", "localhost": "exact"})
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")

SEEDS = (
    b"localhost",
    b"LocalHost.",
    b"a.shop.example:8889",
    b"b.SHOP.example",
    b"[2001:DB8::1]:443",
    b"192.0.2.1:80",
    "müller.example".encode(),
    "straße.example".encode(),
    b"xn--mller-kva.example",
    b"*.shop.example",
    b"0x7f.1",
    b"a" * 63 + b".example",
    b"a." * 126 + b"a",
)


def check(data: bytes) -> None:
    for text in (data.decode("latin-1"), data.decode("utf-8", "replace")):
        name = normalise(text)
        if name is not None:
            check_name(text, name)
        check_pattern(text)
        check_header(text)
        check_tables(text, name)


def check_name(text: str, name: str) -> None:
    assert normalise(name) == name
    assert normalise(text.upper()) == name or not text.isascii()
    assert 0 < len(name) <= LONGEST_NAME
    if ":" in name:
        assert str(ip_address(name)) == name
        return
    labels = name.split(".")
    assert all(LABEL.fullmatch(label) for label in labels), name
    if labels[-1].isdigit():
        assert str(ip_address(name)) == name


def check_pattern(text: str) -> None:
    pattern = normalise_pattern(text)
    if pattern is None:
        return
    assert normalise_pattern(pattern) == pattern
    table = NameTable({pattern: "it"})
    one = pattern.replace("*", "x", 1) if pattern != "*" else "anything.example"
    # A wildcard of the longest suffix leaves no letter for a name.
    assert table.lookup(one) == "it" or len(one) > LONGEST_NAME


def check_header(text: str) -> None:
    host = host_of(text)
    if host is None:
        return
    name, port = host
    assert normalise(name) == name
    assert port is None or 0 < port <= 65535
    shown = f"[{name}]" if ":" in name else name
    assert host_of(shown if port is None else f"{shown}:{port}") == host


def check_tables(text: str, name: str | None) -> None:
    assert WITH_ALL.lookup(text) in ("all", "exact")
    found = TABLE.lookup(text)
    if name is None:
        assert found is None
        return
    if name in ("localhost", "a.shop.example", "xn--mller-kva.example"):
        expected: str | None = "exact"
    elif name in ("192.0.2.1", "2001:db8::1"):
        expected = "address"
    else:
        label, _, suffix = name.partition(".")
        expected = "wildcard" if label and suffix == "shop.example" else None
    assert found == expected
