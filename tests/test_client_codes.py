"""The browser client and the gateway have one table of codes, written down twice."""

import json
import re
from unittest import TestCase

from orion_twisted.client.verdicts import FINAL_CODES, may_come_back
from orion_twisted.core.errors import CloseCode, Outcome
from tests.harness import REPOSITORY

SOURCE = (REPOSITORY / "frontend" / "client" / "src" / "codes.ts").read_text()


def literal(name: str) -> str:
    """Return what a constant of the client's table is, as it is written there."""
    found = re.search(
        rf"^export const {name}[^=]*= ([\[{{].*?[\]}}])(?: as const)?;", SOURCE, re.M | re.S
    )
    if found is None:
        raise AssertionError(f"there is no {name} in codes.ts")
    return re.sub(r",(?=\s*[\]}])", "", found[1])


class ClientCodesTests(TestCase):
    """frontend/client/src/codes.ts against core/errors.py."""

    def test_close_codes(self) -> None:
        """Each close code has the same name and number at both ends."""
        table = re.findall(r"(\w+): (\d+)", literal("CLOSE_CODES"))
        self.assertEqual(
            {name: int(code) for name, code in table},
            {code.name: code.value for code in CloseCode},
        )

    def test_outcomes(self) -> None:
        """The browser client knows each outcome."""
        self.assertEqual(json.loads(literal("OUTCOMES")), [each.value for each in Outcome])

    def test_who_comes_back(self) -> None:
        """Both clients come back, or do not, after the same close codes."""
        final = json.loads(literal("FINAL_CODES"))
        self.assertEqual(set(final), FINAL_CODES)
        self.assertIn(
            "!FINAL_CODES.includes(code) && !(code >= 4500 && code <= 4999)",
            SOURCE,
            "the rule of the client has changed: compare it with may_come_back",
        )
        self.assertEqual(
            [code for code in range(1000, 5001) if not may_come_back(code)],
            [*sorted(final), *range(4500, 5000)],
        )
