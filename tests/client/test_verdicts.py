"""Whether to come back: the client's table beside the gateway's and the page's."""

from http import HTTPStatus

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.verdicts import may_come_back, may_try_again
from orion_twisted.core.errors import CloseCode
from tests.documents import read_page


class CloseCodeTests(SynchronousTestCase):
    """After the end of a socket."""

    def test_the_table(self) -> None:
        """Every code of docs/integrate.md, as its last column says; 1000 is an end."""
        rows = read_page("docs/integrate.md").table("Close codes")
        self.assertTrue(rows)
        for code, _, _, come_back in rows:
            with self.subTest(code):
                self.assertEqual(may_come_back(int(code)), come_back == "yes")

    def test_the_ranges(self) -> None:
        """Every code that the gateway has of its own is in the range that says it."""
        for code in CloseCode:
            if code >= 4000:
                with self.subTest(code.name):
                    self.assertEqual(may_come_back(code), code < 4500)
        for code, come_back in ((4000, True), (4499, True), (4500, False), (4999, False)):
            self.assertEqual(may_come_back(code), come_back)

    def test_registered_codes(self) -> None:
        """No code, no close frame, trouble with TLS, a restart: all of them pass."""
        for code in (1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3000):
            self.assertTrue(may_come_back(code), code)
        for code in (1000, 1002, 1003, 1007, 1008, 1009):
            self.assertFalse(may_come_back(code), code)


class StatusTests(SynchronousTestCase):
    """After a refusal."""

    def test_what_the_gateway_answers(self) -> None:
        """Every status of docs/integrate.md: no place and a bug may pass, the rest stays so."""
        rows = read_page("docs/integrate.md").table("Answers before the upgrade")
        statuses = {int(each) for row in rows for each in row[0].split(",")}
        self.assertEqual({each for each in statuses if may_try_again(each)}, {429, 500, 503})

    def test_what_a_proxy_answers(self) -> None:
        """A gateway that is being restarted behind a proxy."""
        for status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
            self.assertTrue(may_try_again(status))
        for status in (HTTPStatus.OK, HTTPStatus.FOUND, HTTPStatus.NOT_IMPLEMENTED, 999):
            self.assertFalse(may_try_again(status))
