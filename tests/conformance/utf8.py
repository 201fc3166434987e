"""
UTF-8 sequences, good and bad, after the plan of Markus Kuhn's decoder stress test.

Each table holds (name, octets). Whether a sequence is valid is said here by hand; a test compares
that with Python's own decoder.
"""

VALID: list[tuple[str, bytes]] = [
    ("Greek word kosme", "κόσμε".encode()),
    (
        "Latin, Greek, Cyrillic, CJK and emoji together",
        "Hello-µ@ßöäüàá-UTF-8!! Ж 水 𝄞 😀".encode(),
    ),
    ("first of 1 octet, U+0000", b"\x00"),
    ("first of 2 octets, U+0080", b"\xc2\x80"),
    ("first of 3 octets, U+0800", b"\xe0\xa0\x80"),
    ("first of 4 octets, U+10000", b"\xf0\x90\x80\x80"),
    ("last of 1 octet, U+007F", b"\x7f"),
    ("last of 2 octets, U+07FF", b"\xdf\xbf"),
    ("last of 3 octets, U+FFFF", b"\xef\xbf\xbf"),
    ("last of all, U+10FFFF", b"\xf4\x8f\xbf\xbf"),
    ("last before the surrogates, U+D7FF", b"\xed\x9f\xbf"),
    ("first after the surrogates, U+E000", b"\xee\x80\x80"),
    ("replacement character, U+FFFD", b"\xef\xbf\xbd"),
    ("byte order mark, U+FEFF", b"\xef\xbb\xbf"),
    ("noncharacter U+FFFE", b"\xef\xbf\xbe"),
    ("noncharacters U+FDD0 to U+FDEF", "".join(map(chr, range(0xFDD0, 0xFDF0))).encode()),
    *(
        (f"noncharacters U+{plane:X}FFFE and U+{plane:X}FFFF", (chr(end) + chr(end + 1)).encode())
        for plane, end in ((plane, plane << 16 | 0xFFFE) for plane in range(1, 17))
    ),
    ("combining marks", "o\u0308\u0323 e\u0301".encode()),
    ("right-to-left and zero-width joiner", "שלום 👩\u200d💻".encode()),
]

_LONELY_STARTS = {
    "2 octets": range(0xC0, 0xE0),
    "3 octets": range(0xE0, 0xF0),
    "4 octets": range(0xF0, 0xF8),
    "5 octets": range(0xF8, 0xFC),
    "6 octets": range(0xFC, 0xFE),
}
_CUT_SHORT = [
    ("2 octets, U+0000", b"\xc0"),
    ("3 octets, U+0000", b"\xe0\x80"),
    ("4 octets, U+0000", b"\xf0\x80\x80"),
    ("5 octets, U+0000", b"\xf8\x80\x80\x80"),
    ("6 octets, U+0000", b"\xfc\x80\x80\x80\x80"),
    ("2 octets, U+07FF", b"\xdf"),
    ("3 octets, U+FFFF", b"\xef\xbf"),
    ("4 octets, U+1FFFFF", b"\xf7\xbf\xbf"),
    ("5 octets, U+3FFFFFF", b"\xfb\xbf\xbf\xbf"),
    ("6 octets, U+7FFFFFFF", b"\xfd\xbf\xbf\xbf\xbf"),
]
_SURROGATES = {
    "U+D800": b"\xed\xa0\x80",
    "U+DB7F": b"\xed\xad\xbf",
    "U+DB80": b"\xed\xae\x80",
    "U+DBFF": b"\xed\xaf\xbf",
    "U+DC00": b"\xed\xb0\x80",
    "U+DF80": b"\xed\xbe\x80",
    "U+DFFF": b"\xed\xbf\xbf",
}

INVALID: list[tuple[str, bytes]] = [
    ("good text, then a surrogate, then good text", "κόσμε".encode() + b"\xed\xa0\x80edited"),
    ("first of 5 octets", b"\xf8\x88\x80\x80\x80"),
    ("first of 6 octets", b"\xfc\x84\x80\x80\x80\x80"),
    ("last of the old 4 octets, U+1FFFFF", b"\xf7\xbf\xbf\xbf"),
    ("last of 5 octets", b"\xfb\xbf\xbf\xbf\xbf"),
    ("last of 6 octets", b"\xfd\xbf\xbf\xbf\xbf\xbf"),
    ("one above all, U+110000", b"\xf4\x90\x80\x80"),
    ("lead octet F5", b"\xf5\x80\x80\x80"),
    ("lonely continuation 80", b"\x80"),
    ("lonely continuation BF", b"\xbf"),
    *((f"{count} lonely continuations", (b"\x80\xbf" * 4)[:count]) for count in range(2, 8)),
    ("all 64 continuations", bytes(range(0x80, 0xC0))),
    *(
        (f"all lonely starts of {name}", b"".join(bytes([octet, 0x20]) for octet in octets))
        for name, octets in _LONELY_STARTS.items()
    ),
    *((f"last octet missing: {name}", octets) for name, octets in _CUT_SHORT),
    ("all of those in a row", b"".join(octets for _, octets in _CUT_SHORT)),
    ("good text with its last octet missing", "κόσμε".encode()[:-1]),
    ("impossible octet FE", b"\xfe"),
    ("impossible octet FF", b"\xff"),
    ("FE FE FF FF", b"\xfe\xfe\xff\xff"),
    ("overlong slash in 2 octets", b"\xc0\xaf"),
    ("overlong slash in 3 octets", b"\xe0\x80\xaf"),
    ("overlong slash in 4 octets", b"\xf0\x80\x80\xaf"),
    ("overlong slash in 5 octets", b"\xf8\x80\x80\x80\xaf"),
    ("overlong slash in 6 octets", b"\xfc\x80\x80\x80\x80\xaf"),
    ("largest overlong in 2 octets, U+007F", b"\xc1\xbf"),
    ("largest overlong in 3 octets, U+07FF", b"\xe0\x9f\xbf"),
    ("largest overlong in 4 octets, U+FFFF", b"\xf0\x8f\xbf\xbf"),
    ("largest overlong in 5 octets, U+1FFFFF", b"\xf8\x87\xbf\xbf\xbf"),
    ("largest overlong in 6 octets, U+3FFFFFF", b"\xfc\x83\xbf\xbf\xbf\xbf"),
    ("overlong NUL in 2 octets", b"\xc0\x80"),
    ("overlong NUL in 3 octets", b"\xe0\x80\x80"),
    ("overlong NUL in 4 octets", b"\xf0\x80\x80\x80"),
    ("overlong NUL in 5 octets", b"\xf8\x80\x80\x80\x80"),
    ("overlong NUL in 6 octets", b"\xfc\x80\x80\x80\x80\x80"),
    *((f"surrogate {name}", octets) for name, octets in _SURROGATES.items()),
    *(
        (f"surrogate pair {high} {low}", _SURROGATES[high] + _SURROGATES[low])
        for high in list(_SURROGATES)[:4]
        for low in ("U+DC00", "U+DFFF")
    ),
    ("Latin-1 in place of UTF-8", "Grüße".encode("latin-1")),
]
