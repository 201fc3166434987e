"""Host names, Host headers, and who answers a name."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core import hostnames
from orion_twisted.core.hostnames import NameTable, host_of, normalise, normalise_pattern

LABEL = "a" * 63
LONGEST = ".".join([LABEL, LABEL, LABEL, "a" * 61])  # 253 characters

# Text of what host names are made of, so that hypothesis meets the grammar's corners.
NEARLY_NAMES = st.text(st.sampled_from("aZ09-_.*:[]%/ x\u3002\u00e9\u00df\u0130\uff0e\n\0"))
ANY_TEXT = st.text() | st.text(st.characters(), max_size=300) | NEARLY_NAMES


class NormaliseTests(SynchronousTestCase):
    """`normalise`."""

    def test_names(self) -> None:
        """One name has one spelling: lower case, no trailing dot, A-labels, plain addresses."""
        for text, name in {
            "example.com": "example.com",
            "WWW.Example.COM": "www.example.com",
            "example.com.": "example.com",
            "localhost": "localhost",
            "a_b._c.example": "a_b._c.example",
            "xn--bcher-kva.example": "xn--bcher-kva.example",
            "bücher.example": "xn--bcher-kva.example",
            "BÜCHER.example.": "xn--bcher-kva.example",
            "한국.example": "xn--3e0b707e.example",
            "bücher。example": "xn--bcher-kva.example",
            "3com.example": "3com.example",
            "a--b.example": "a--b.example",
            LONGEST: LONGEST,
            LONGEST + ".": LONGEST,
            "127.0.0.1": "127.0.0.1",
            "127.0.0.1.": "127.0.0.1",
            "::1": "::1",
            "[::1]": "::1",
            "[2001:DB8:0:0::A]": "2001:db8::a",
        }.items():
            with self.subTest(text):
                self.assertEqual(normalise(text), name)

    def test_what_is_no_name(self) -> None:
        """Anything else is no name: None, and never an exception."""
        for text in (
            "", ".", "..", "a..b", ".a", "a..", "-a.example", "a-.example", "*.example", "*",
            "a b.example", " a", "a\n", "a\0", "a/b", "a@b", "a%2e", LABEL + "a", LONGEST + "a",
            "é" * 255, LONGEST + "aa",
            "é" * 64 + ".example", "a.é..b", "\ud800.example", "\u2100.example",
            "a:80", "[a]", "[::1", "::1]", "[127.0.0.1]", "[::1].", "fe80::1%eth0", "::g",
            "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "a.1", "7",
        ):  # fmt: skip
            with self.subTest(repr(text)[:40]):
                self.assertIsNone(normalise(text))

    def test_letters_of_two_meanings(self) -> None:
        """A name that old and new IDNA read as two domains is refused, not turned into one."""
        for text in ("straße.example", "STRAẞE.example", "σας.example", "a\u200db.example"):
            with self.subTest(text):
                self.assertIsNone(normalise(text))

    @settings(deadline=None)
    @given(ANY_TEXT)
    def test_any_text(self, text: str) -> None:
        """Whatever a stranger calls itself, there is an answer, and the answer is stable."""
        name = normalise(text)
        if name is not None:
            self.assertEqual(normalise(name), name)
            self.assertTrue(name.isascii() and 0 < len(name) <= 253 and name == name.lower())

    def test_remembers_little(self) -> None:
        """However many names strangers ask for, few are remembered, and none that is no name for
        its length."""
        hostnames._normalised.cache_clear()
        for number in range(2 * hostnames.MOST_SPELLINGS):
            self.assertEqual(normalise(f"X{number}.example"), f"x{number}.example")
        self.assertEqual(hostnames._normalised.cache_info().currsize, hostnames.MOST_SPELLINGS)
        hostnames._normalised.cache_clear()
        self.assertIsNone(normalise("a" * 10_000))
        self.assertEqual(hostnames._normalised.cache_info().currsize, 0)


class NormalisePatternTests(SynchronousTestCase):
    """`normalise_pattern`."""

    def test_patterns(self) -> None:
        """A pattern is a name, a wildcard of one label before a name, or everything."""
        for text, pattern in {
            "*": "*",
            "*.Example.COM.": "*.example.com",
            "*.bücher.example": "*.xn--bcher-kva.example",
            "*.localhost": "*.localhost",
            "Example.com": "example.com",
            "[::1]": "::1",
            "*." + LONGEST[2:]: "*." + LONGEST[2:],
        }.items():
            with self.subTest(text):
                self.assertEqual(normalise_pattern(text), pattern)

    def test_what_is_no_pattern(self) -> None:
        """A wildcard anywhere else, or before an address, is none."""
        for text in (
            "", "*.", "*..", "**", "*.*", "*.*.a", "a.*", "a*.b", "*a.b", "*..a", "*.1.2.3",
            "*.127.0.0.1", "*.::1", "*.[::1]", " *", "* .a", "*." + LONGEST[1:], "\uff0a.a",
        ):  # fmt: skip
            with self.subTest(text):
                self.assertIsNone(normalise_pattern(text))

    @settings(deadline=None)
    @given(ANY_TEXT | NEARLY_NAMES.map("*.".__add__))
    def test_any_text(self, text: str) -> None:
        """Whatever stands in the settings, there is an answer, and the answer is stable."""
        pattern = normalise_pattern(text)
        if pattern is not None:
            self.assertEqual(normalise_pattern(pattern), pattern)
            self.assertTrue(pattern == "*" or normalise(pattern.removeprefix("*.")))


class HostOfTests(SynchronousTestCase):
    """`host_of`."""

    def test_hosts(self) -> None:
        """A Host header is a name and perhaps a port."""
        for header, host in {
            "Example.com": ("example.com", None),
            "example.com:8889": ("example.com", 8889),
            "example.com.:443": ("example.com", 443),
            "localhost:1": ("localhost", 1),
            "127.0.0.1:65535": ("127.0.0.1", 65535),
            "[::1]": ("::1", None),
            "[::1]:8889": ("::1", 8889),
        }.items():
            with self.subTest(header):
                self.assertEqual(host_of(header), host)

    def test_what_is_no_host(self) -> None:
        """Anything a browser would not send is refused whole."""
        for header in (
            "", ":80", "a:", "a:0", "a:080", "a:65536", "a:99999999", "a:-1", "a:+1", "a: 1",
            "a:1 ", " a", "a :1", "a:1:2", "a:b", "::1", "[::1", "::1]:80", "[::1]80", "[[::1]]",
            "[a]:80", "[]", "user@a", "a/b", "a,b", "a, b", "*.a", "a\n", "a:1\n",
            "bücher.example", "a:\uff11", "https://a",
        ):  # fmt: skip
            with self.subTest(header):
                self.assertIsNone(host_of(header))

    @settings(deadline=None)
    @given(ANY_TEXT)
    def test_any_text(self, header: str) -> None:
        """Whatever the header says, there is an answer, and its name is in the one spelling."""
        host = host_of(header)
        if host is not None:
            self.assertEqual(normalise(host[0]), host[0])


class NameTableTests(SynchronousTestCase):
    """`NameTable`."""

    def setUp(self) -> None:
        """Build the table of a node with a few names."""
        self.table = NameTable(
            {
                "a.example": "bare",
                "www.a.example": "exact",
                "*.A.example": "wildcard",
                "*.y.a.example": "deeper",
                "[::1]": "loopback",
                "127.0.0.1": "loopback4",
            }
        )

    def test_who_answers(self) -> None:
        """The exact name comes before its wildcard, and a wildcard stands for one label."""
        for name, value in {
            "a.example": "bare",
            "www.a.example": "exact",
            "WWW.A.Example.": "exact",
            "x.a.example": "wildcard",
            "X.A.EXAMPLE": "wildcard",
            "bücher.a.example": "wildcard",
            "y.a.example": "wildcard",
            "x.y.a.example": "deeper",
            "::1": "loopback",
            "0:0::1": "loopback",
            "127.0.0.1": "loopback4",
        }.items():
            with self.subTest(name):
                self.assertEqual(self.table.lookup(name), value)

    def test_who_does_not(self) -> None:
        """A name of nobody is answered by nobody: no wildcard reaches further than a label."""
        for name in (
            "example", "b.example", "x.x.a.example", "*.a.example", ".a.example", "", "*",
            "a.example..", "-.a.example", "a.example:80", "\ud800",
        ):  # fmt: skip
            with self.subTest(repr(name)):
                self.assertIsNone(self.table.lookup(name))

    def test_bare_name_of_a_wildcard(self) -> None:
        """A wildcard alone does not answer the name behind it."""
        self.assertIsNone(NameTable({"*.a.example": 1}).lookup("a.example"))

    def test_everything(self) -> None:
        """The pattern * answers whatever nobody else does, even what is no name."""
        table = NameTable({"*": "all", "a.example": "bare", "*.a.example": "wildcard"})
        for name, value in {
            "a.example": "bare",
            "x.a.example": "wildcard",
            "x.y.a.example": "all",
            "b": "all",
            "": "all",
            "a b": "all",
        }.items():
            with self.subTest(name):
                self.assertEqual(table.lookup(name), value)

    def test_empty(self) -> None:
        """A table of nothing answers nothing."""
        self.assertIsNone(NameTable({}).lookup("a.example"))

    def test_bad_keys(self) -> None:
        """A key that is no pattern, or that is there twice, is refused when the table is built."""
        error = self.assertRaises(ValueError, NameTable, {"a.*": 1})
        self.assertIn("'a.*'", str(error))
        error = self.assertRaises(ValueError, NameTable, {"a.example": 1, "A.example.": 2})
        self.assertIn("twice", str(error))

    @settings(deadline=None)
    @given(ANY_TEXT)
    def test_any_text(self, name: str) -> None:
        """Whatever name is asked for, the look-up answers and does not raise."""
        self.assertIn(self.table.lookup(name), {None, "bare", "exact", "wildcard", "deeper",
                                                "loopback", "loopback4"})  # fmt: skip
