"""docs/security.md: what it says of limits is what there is."""

from __future__ import annotations

import re
from http import HTTPStatus
from unittest import TestCase

from attrs import fields

from orion_twisted.core.errors import CloseCode, Outcome
from orion_twisted.core.settings import Limits, SessionSettings
from orion_twisted.service import dial_in
from tests import test_docs
from tests.documents import CHECKOUT, code_in, read_page

PAGE = read_page("docs/security.md")
DROPPED = frozenset({"connect_rate", "pending_handshakes"})
"""Reasons of connections that are dropped without an answer."""
ENDED = frozenset({"evicted"})
"""Why a session may end before its time, as ``sessions_ended`` counts it."""
TOO_BIG, ABNORMAL = 1009, 1006
"""Close codes that Autobahn sends, and that nobody sends."""


class LimitTests(TestCase):
    """The table of limits has each of them, and what a client is told is what it hears."""

    def setUp(self) -> None:
        self.rows = PAGE.table("How each limit behaves")

    def test_every_limit_is_there(self) -> None:
        """None is missing, and none has been invented."""
        named = {name for _, limits, *_ in self.rows for name in code_in(limits)}
        sessions = {each.name for each in fields(SessionSettings)}
        sessions |= {f"session.{each}" for each in sessions}
        self.assertEqual(named - sessions - {"session"}, {each.name for each in fields(Limits)})

    def test_what_is_told(self) -> None:
        """Statuses, close codes and reasons are those of the code."""
        refusals = test_docs.Sources().refusals
        codes = {*map(int, CloseCode), TOO_BIG, ABNORMAL}
        for against, *_, told in self.rows:
            reasons = code_in(told)
            statuses = {int(number) for number in re.findall(r"\b\d{3}\b", told)}
            with self.subTest(against):
                outcomes = {each.value for each in Outcome}
                self.assertLessEqual(
                    set(reasons), {*refusals, *DROPPED, *ENDED, *dial_in.REFUSALS, *outcomes}
                )
                self.assertLessEqual(set(map(int, re.findall(r"\b\d{4}\b", told))), codes)
                answered = {refusals[each] for each in reasons if each in refusals}
                self.assertEqual(statuses, set(map(int, answered - {HTTPStatus.REQUEST_TIMEOUT})))

    def test_what_it_points_to(self) -> None:
        """Folders and targets of make that a reader may look for are there."""
        for name in re.findall(r"`(tests/\w+/)`", PAGE.text):
            self.assertTrue((CHECKOUT / name).is_dir(), name)
        targets = re.findall(r"`make (\w+)`", PAGE.text)
        makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
        for target in targets:
            self.assertRegex(makefile, rf"(?m)^{target}:")
        self.assertIn("fuzz", targets)
