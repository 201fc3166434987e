"""The error family and its close codes: one table, which clients rely on."""

import re

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core import config, errors, frames, messages, problems, relay, worker_wire
from orion_twisted.core.errors import (
    BackendDown,
    BackendError,
    BadMessage,
    CloseCode,
    InvalidPayload,
    LocalError,
    OrionError,
    PeerError,
    UnsupportedMessage,
)

COME_BACK: dict[CloseCode, bool] = {
    CloseCode.NORMAL: False,
    CloseCode.GOING_AWAY: True,
    CloseCode.UNSUPPORTED_DATA: False,
    CloseCode.INVALID_PAYLOAD: False,
    CloseCode.INTERNAL_ERROR: True,
    CloseCode.TOO_SLOW: True,
    CloseCode.TOO_FAST: True,
    CloseCode.IDLE: True,
    CloseCode.BACKEND_ERROR: True,
    CloseCode.OVER_BUDGET: True,
    CloseCode.SLOW_CONSUMER: True,
    CloseCode.BACKEND_DOWN: True,
    CloseCode.BAD_MESSAGE: False,
    CloseCode.UNAUTHORIZED: False,
    CloseCode.SUPERSEDED: False,
}
"""Whether a browser should come back: the whole table of what it may be told."""

TOLD: dict[type[OrionError], tuple[int, str]] = {
    OrionError: (1011, "INTERNAL_ERROR"),
    LocalError: (1011, "INTERNAL_ERROR"),
    PeerError: (4500, "BAD_MESSAGE"),
    BadMessage: (4500, "BAD_MESSAGE"),
    InvalidPayload: (1007, "BAD_MESSAGE"),
    UnsupportedMessage: (1003, "BAD_MESSAGE"),
    BackendError: (4011, "BACKEND_ERROR"),
    BackendDown: (4014, "BACKEND_DOWN"),
    frames.FrameTooLarge: (4011, "BACKEND_ERROR"),
    frames.FrameMalformed: (4011, "BACKEND_ERROR"),
    frames.FrameUnencodable: (4500, "BAD_MESSAGE"),
    problems.ConfigError: (1011, "INTERNAL_ERROR"),
    worker_wire.WireError: (1011, "INTERNAL_ERROR"),
}
"""What each error closes a browser with."""


def family(root: type[OrionError] = OrionError) -> set[type[OrionError]]:
    """Return an error and all that derive from it, as far as they are loaded."""
    return {root}.union(*(family(each) for each in root.__subclasses__()))


class CloseCodeTests(SynchronousTestCase):
    """`CloseCode`."""

    def test_unique(self) -> None:
        """No two names stand for one code."""
        self.assertEqual(len(CloseCode.__members__), len(set(CloseCode)))

    def test_whether_to_come_back(self) -> None:
        """4000-4499 mean "come back", 4500-4999 "do not"; every code is in the table."""
        self.assertEqual(set(COME_BACK), set(CloseCode))
        for code, come_back in COME_BACK.items():
            if code >= 4000:
                with self.subTest(code.name):
                    self.assertEqual(come_back, code < 4500)

    def test_can_be_sent(self) -> None:
        """Each is one that RFC 6455 section 7.4 lets a server put into a close frame."""
        for code in CloseCode:
            with self.subTest(code.name):
                self.assertTrue(code in {1000, 1001, 1003, 1007, 1011} or 4000 <= code <= 4999)


class FamilyTests(SynchronousTestCase):
    """`OrionError` and what derives from it."""

    def test_each_says_what_the_browser_is_told(self) -> None:
        """Every error has a close code of the table and a code for counters, logs and reasons."""
        self.assertTrue(all((config, messages, relay)))  # loaded, so that all the family is here
        ours = {each for each in family() if each.__module__.startswith("orion_twisted.core")}
        self.assertEqual(ours, set(TOLD))
        for error, told in TOLD.items():
            with self.subTest(error.__name__):
                self.assertIsInstance(error.close_code, CloseCode)
                self.assertEqual((error.close_code, error.code), told)

    def test_codes_fit_a_close_reason(self) -> None:
        """A code is a short word in capitals: it fits the 123 bytes of a close reason."""
        for error in family():
            self.assertRegex(error.code, r"\A[A-Z]+(_[A-Z]+)*\Z")
            self.assertLessEqual(len(error.code), 123)

    def test_one_code_one_meaning(self) -> None:
        """A code tells always the same thing about coming back."""
        meanings: dict[str, set[bool]] = {}
        for error in family():
            meanings.setdefault(error.code, set()).add(COME_BACK[error.close_code])
        self.assertEqual({code: m for code, m in meanings.items() if len(m) > 1}, {})

    def test_whose_fault(self) -> None:
        """Every error is ours, the browser's or the backend's, and only one of them."""
        sides = (LocalError, PeerError, BackendError, BackendDown)
        for error in family() - {OrionError}:
            with self.subTest(error.__name__):
                self.assertEqual(sum(issubclass(error, side) for side in sides), 1)

    def test_the_drawing_is_true(self) -> None:
        """The tree at the top of the module names its classes, indented as they derive."""
        lines = [
            (line.index(name), name)
            for line in (errors.__doc__ or "").splitlines()
            if "──" in line or line.strip() == "OrionError"
            for name in re.findall(r"[A-Z]\w+", line)[:1]
        ]
        drawn = {name: column for column, name in lines}
        here = {each.__name__: each for each in family() if each.__module__ == errors.__name__}
        self.assertEqual(set(drawn), set(here))
        for name, error in here.items():
            base = error.__base__
            assert base is not None
            if base.__name__ in drawn:
                self.assertEqual(drawn[name], drawn[base.__name__] + 4, name)

    def test_documented(self) -> None:
        """The rule of the ranges stands where the codes are."""
        text = " ".join((errors.__doc__ or "").split())
        self.assertIn('4000-4499 tell the browser "come back", 4500-4999 "do not"', text)
