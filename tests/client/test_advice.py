"""What the doctor says of an answer is what the pages say."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.advice import STATUSES, code_means, status_means
from orion_twisted.core.errors import CloseCode
from tests.documents import read_page


class AdviceTests(SynchronousTestCase):
    """Statuses and close codes."""

    def test_every_status(self) -> None:
        """All that the gateway answers are there; what else there may be has an answer, too."""
        rows = read_page("docs/integrate.md").table("Answers before the upgrade")
        documented = {int(each) for row in rows for each in row[0].split(",")}
        self.assertLessEqual(documented, set(STATUSES))
        self.assertIn("page", status_means(200)[0])
        self.assertIn("redirect", status_means(302)[0])
        self.assertIn("no answer of this gateway", status_means(418)[0])

    def test_every_close_code(self) -> None:
        """Each by its name, with something to do about it."""
        for code in CloseCode:
            name, advice = code_means(code)
            self.assertEqual(name, code.name)
            self.assertTrue(advice)
        self.assertEqual(code_means(4999)[0], "unknown")

    def test_advice_is_one_line(self) -> None:
        """It stands below a finding, without an end of its own."""
        for meaning, advice in STATUSES.values():
            for text in (meaning, advice):
                self.assertNotIn("\n", text)
                self.assertFalse(text.endswith("."), text)
