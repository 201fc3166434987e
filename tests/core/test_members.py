"""Members of JSON objects are changed, and nothing else, whatever the object looks like."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.members import MAX_NUMBER, Member, NoObject, Reader, Text

NAME = "@MSGID"
ID = Member(NAME)
SESSION = Text("@SESSION")

Pairs = list[tuple[str, Any]]


class Nested(list[Any]):
    """An object inside another, with all its members as they stand there."""


def members(payload: bytes) -> list[tuple[str, Any]]:
    """Return an object's members as JSON has them: of a name that comes twice, the last value."""

    def keep(pairs: Pairs) -> Nested:
        return Nested(pairs)

    return list(dict(json.loads(payload, object_pairs_hook=keep)).items())


def with_member(pairs: Pairs, name: str, value: object) -> Pairs:
    """Return the members with one of them changed, or in front of all if it is not there."""
    if name in dict(pairs):
        return [(each, value if each == name else its) for each, its in pairs]
    return [(name, value), *pairs]


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A text as JSON may spell it: each character as it is, or as an escape."""
    said = []
    for each in text:
        escape = f"\\u{ord(each):04x}"
        said.append(draw(st.sampled_from([each, each, escape, escape.upper().replace("U", "u")])))
    return f'"{"".join(said)}"'


NUMBERS = st.integers(0, MAX_NUMBER)

SPACE = st.sampled_from(["", "", " ", "\n\t ", "\r\n"])

NAMES = st.one_of(
    st.sampled_from([NAME, "@SESSION"]).flatmap(spelled),
    st.sampled_from(
        [f'"{NAME}"', '"a"', '""', '"x\\"@MSGID"', '"@MSGID\\\\"', '"\\\\u0040MSGID"', '"@msgid"']
    ),
    st.text(st.characters(codec="utf-8"), max_size=4).map(json.dumps),
)

SCALARS = st.one_of(
    st.sampled_from(["0", "-7", "1.50", "1e5", "2E-3", "true", "null", '"@MSGID"', '"@SESSION"']),
    st.sampled_from(['"\\"@MSGID\\":7,"', '"\\u0040MSGID"', '"ü"', '"\\/"', '"\\\\"', '","']),
    st.text(st.characters(codec="utf-8"), max_size=4).map(json.dumps),
)


@st.composite
def an_object(draw: st.DrawFn, names: Any, values: Any, numbered: bool = False) -> str:
    """The text of a JSON object; if it is to be numbered it has `NAME` somewhere."""
    pairs = draw(st.lists(st.tuples(names, values, SPACE, SPACE, SPACE, SPACE), max_size=4))
    if numbered:
        number = st.tuples(spelled(NAME), NUMBERS, SPACE, SPACE, SPACE, SPACE)
        pairs.insert(draw(st.integers(0, len(pairs))), draw(number))
    inside = ",".join(f"{a}{name}{b}:{c}{value}{d}" for name, value, a, b, c, d in pairs)
    return f"{{{inside or draw(SPACE)}}}"


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        an_object(NAMES, inner),
    ),
    max_leaves=5,
)

OBJECTS = st.tuples(SPACE, an_object(NAMES, VALUES), SPACE).map("".join).map(str.encode)
"""Any object: members of any name, at any depth, twice, in any spelling, in any place."""

NUMBERED = an_object(NAMES, VALUES, numbered=True).map(str.encode)

PLAIN = st.tuples(
    st.sampled_from(['"a"', '"\\u00fc"', '"x\\"@MSGID\\""', '"@MSGIDS"', '"@SESSION"', '""']),
    SPACE,
    st.sampled_from(["1.50", "[1, {}]", '"\\ud83d"', '"\\"@MSGID\\":7,"', '{"a": {"b":"}"}}']),
).map(lambda each: "{}{}:{}".format(*each))
"""Members that leave no doubt which one `NAME` is."""


class ReplaceTests(SynchronousTestCase):
    """A number that is there is changed."""

    def test_the_usual_shape(self) -> None:
        """Only the digits change; everything around them is what it was, to the byte."""
        table = [
            (b'{"@MSGID":7,"cmd":"x"}', b'{"@MSGID":123,"cmd":"x"}'),
            (b' {"a": 1 , "@MSGID" : 7 }\n', b' {"a": 1 , "@MSGID" : 123 }\n'),
            (b'{"a":{"b":[1,2]},"@MSGID":-0}', b'{"a":{"b":[1,2]},"@MSGID":123}'),
            (
                b'{"@MSGID":7,"x":"\\u00fc \\ud83d\\ude00"}',
                b'{"@MSGID":123,"x":"\\u00fc \\ud83d\\ude00"}',
            ),
            (b'{"@MSGID":7,"x":"\\ud800"}', b'{"@MSGID":123,"x":"\\ud800"}'),
            (b'{"x":"\\"@MSGID\\":1","@MSGID":7}', b'{"x":"\\"@MSGID\\":1","@MSGID":123}'),
        ]
        for payload, expected in table:
            with self.subTest(payload):
                self.assertEqual(ID.replace(payload, 123), expected)

    def test_shapes_that_deceive(self) -> None:
        """A name that stands somewhere else, too, or is spelled in escapes, deceives nobody."""
        table = [
            (b'{"a":{"@MSGID":1},"@MSGID":7}', b'{"a":{"@MSGID":1},"@MSGID":123}'),
            (b'{"@MSGID":7,"a":{"@MSGID":1}}', b'{"@MSGID":123,"a":{"@MSGID":1}}'),
            (b'{"a":"@MSGID","@MSGID":7}', b'{"a":"@MSGID","@MSGID":123}'),
            (b'{"\\u0040MSGID":7}', b'{"@MSGID":123}'),
            (b'{"a":{"@MSGID":1},"\\u0040MSGID":7}', b'{"a":{"@MSGID":1},"@MSGID":123}'),
            (b'{"@MSGI\\u0044":7, "a" : 1.50}', b'{"@MSGID":123,"a":1.50}'),
            (b'{"@MSGID":7,"@MSGID":8}', b'{"@MSGID":123}'),
            (b'{"@MSGID":"seven"}', b'{"@MSGID":123}'),
        ]
        for payload, expected in table:
            with self.subTest(payload):
                self.assertEqual(ID.replace(payload, 123), expected)

    @given(NUMBERED, NUMBERS)
    @settings(deadline=None)
    def test_any_object(self, payload: bytes, number: int) -> None:
        """Of any object that member is changed and no other, in the same order."""
        before = members(payload)
        self.assertEqual(members(ID.replace(payload, number)), with_member(before, NAME, number))

    @given(st.lists(PLAIN, max_size=3), st.lists(PLAIN, max_size=3), NUMBERS, NUMBERS, SPACE)
    @settings(deadline=None)
    def test_bytes_around_it(
        self, front: list[str], back: list[str], old: int, number: int, space: str
    ) -> None:
        """Where its name is spelled once, and plainly, all bytes around the number are kept."""
        before = f'{space}{{{"".join(f"{each}," for each in front)}{space}"{NAME}"{space}:{space}'
        after = f"{space}{''.join(f',{each}' for each in back)}}}{space}"
        json.loads(f"{before}{old}{after}")
        self.assertEqual(
            ID.replace(f"{before}{old}{after}".encode(), number),
            f"{before}{number}{after}".encode(),
        )


class PutTests(SynchronousTestCase):
    """A member is put there, in place of any that is."""

    def test_in_front(self) -> None:
        """Where there is none it comes first, and the rest stays as it is."""
        table = [
            (b"{}", b'{"@MSGID":5}'),
            (b" { \n} ", b' {"@MSGID":5 \n} '),
            (b'{"a":1}', b'{"@MSGID":5,"a":1}'),
            (b'\n{ "a" : "\\u00fc" }', b'\n{"@MSGID":5, "a" : "\\u00fc" }'),
        ]
        for payload, expected in table:
            with self.subTest(payload):
                self.assertEqual(ID.put(payload, 5), expected)

    def test_in_its_place(self) -> None:
        """Whatever was there under its name is gone, however it was spelled."""
        table = [
            (b'{"a":1,"@MSGID":null,"b":2}', b'{"a":1,"@MSGID":5,"b":2}'),
            (b'{"\\u0040MSGID":[1,2]}', b'{"@MSGID":5}'),
            (b'{"@MSGID":1,"@MSGID":2}', b'{"@MSGID":5}'),
            (b'{"a":{"@MSGID":1}}', b'{"@MSGID":5,"a":{"@MSGID":1}}'),
        ]
        for payload, expected in table:
            with self.subTest(payload):
                self.assertEqual(ID.put(payload, 5), expected)

    def test_text(self) -> None:
        """A text goes in front of all others, and is quoted as JSON wants it."""
        table = [
            (b"{}", "s", b'{"@SESSION":"s"}'),
            (b'{"a":1}', 's"\n', b'{"@SESSION":"s\\"\\n","a":1}'),
            (b'{"a":1,"@SESSION":"mine"}', "s", b'{"@SESSION":"s","a":1}'),
            (b'{"a":1,"@\\u0053ESSION":7,"b":{"@SESSION":1}}', "s",
             b'{"@SESSION":"s","a":1,"b":{"@SESSION":1}}'),
            (b'{"x":"\\u00fc"}', "s", b'{"@SESSION":"s","x":"\\u00fc"}'),
        ]  # fmt: skip
        for payload, value, expected in table:
            with self.subTest(payload):
                self.assertEqual(SESSION.put(payload, value), expected)

    @given(OBJECTS, NUMBERS)
    @settings(deadline=None)
    def test_any_object(self, payload: bytes, number: int) -> None:
        """Into any object, once, and no other member changes."""
        put = ID.put(payload, number)
        self.assertEqual(members(put), with_member(members(payload), NAME, number))
        self.assertEqual(members(ID.put(put, number)), members(put))

    @given(OBJECTS, st.text(st.characters(codec="utf-8"), max_size=20))
    @settings(deadline=None)
    def test_text_into_any_object(self, payload: bytes, value: str) -> None:
        """Likewise; and it is always the first, so that nothing a browser says comes before."""
        others = [each for each in members(payload) if each[0] != "@SESSION"]
        put = SESSION.put(payload, value)
        self.assertEqual(members(put), [("@SESSION", value), *others])
        self.assertTrue(put.lstrip().startswith(b'{"@SESSION":'))


class Sample(msgspec.Struct):
    number: int | None = msgspec.field(name="@MSGID", default=None)


class ReaderTests(SynchronousTestCase):
    """What is read out of an object, and what is none."""

    def setUp(self) -> None:
        self.read = Reader(Sample).read

    def test_any_spelling(self) -> None:
        """The value of a member, however it is spelled; the last one, if it comes twice."""
        table: list[tuple[bytes, int | None]] = [
            (b"{}", None),
            (b'{"@MSGID":7}', 7),
            (b' { "\\u0040MSG\\u0049D" : 7 } ', 7),
            (b'{"@MSGID":7,"@MSGID":8}', 8),
            (b'{"a":{"@MSGID":1}}', None),
            (b'{"a":"\\"@MSGID\\":1"}', None),
        ]
        for payload, number in table:
            with self.subTest(payload):
                self.assertEqual(self.read(payload).number, number)

    def test_half_a_surrogate_pair(self) -> None:
        """JavaScript writes and reads it, though it is no character: in a value, in a name."""
        for payload in (
            b'{"@MSGID":7,"x":"\\ud83d"}',
            b'{"x":"\\udE00 and \\uD83D\\ude00","@MSGID":7}',
            b'{"\\ud800":"\\\\ud800","@MSGID":7}',
        ):
            with self.subTest(payload):
                json.loads(payload)
                self.assertEqual(self.read(payload).number, 7)

    def test_no_object(self) -> None:
        """Anything else, anywhere in the text, is none; and nothing else is ever raised."""
        deep = 100_000
        for payload in (
            b"",
            b"null",
            b"[]",
            b'"@MSGID"',
            b'{"@MSGID":"7"}',
            b'{"@MSGID":7.5}',
            b'{"@MSGID":7}x',
            b'{"@MSGID":7,"x":"\\ud800}',
            b'{"@MSGID":7,"x":"\\Ud800"}',
            b'{"@MSGID":7,"x":"\\ud800","y":}',
            b'{"@MSGID":7,"x":NaN}',
            b'{"@MSGID":7,}',
            b"{'@MSGID':7}",
            b'\xef\xbb\xbf{"@MSGID":7}',
            b'{"x":' + b"[" * deep + b"]" * deep + b"}",
            b'{"x":"\\ud800","y":' + b'{"z":' * deep + b"1" + b"}" * deep + b"}",
        ):
            with self.subTest(payload[:40]):
                self.assertRaises(NoObject, self.read, payload)

    def test_changing_what_is_none(self) -> None:
        """What cannot be taken apart is said to be none, too."""
        deep = 100_000
        for payload in (
            b'{"\\u0040MSGID":7,"x":"\\ud800"}',
            b'{"\\u0040MSGID":7,"x":' + b"[" * deep + b"]" * deep + b"}",
            b'"@MSGID"',
        ):
            with self.subTest(payload[:40]):
                self.assertRaises(NoObject, ID.replace, payload, 1)
                self.assertRaises(NoObject, ID.put, payload, 1)

    @given(st.binary(max_size=40) | OBJECTS)
    @settings(deadline=None)
    def test_any_bytes(self, payload: bytes) -> None:
        """Any bytes are an object or are not; what is one for us is one for others."""
        try:
            number = self.read(payload).number
        except NoObject:
            return
        text = payload.decode(errors="replace")
        self.assertEqual(json.loads(text, strict=False).get(NAME), number)
