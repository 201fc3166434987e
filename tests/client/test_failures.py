"""The client's failures are those of docs/wire.md."""

import pickle

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.failures import (
    FAMILY,
    Closed,
    MessageFailed,
    OfflineQueueFull,
    TooLarge,
    failure_of,
)
from tests.documents import code_in, read_page

DONE = {"no": False, "yes": True, "perhaps": None}


class FailureTests(SynchronousTestCase):
    """One class for each code."""

    def test_the_table(self) -> None:
        """Every outcome of the page has its class, which says as much about the effect."""
        documented = {
            code_in(code)[0]: DONE.get(done.rstrip("."))  # "no; for an answer, yes" is None
            for code, _, done in read_page("docs/wire.md").table("Outcomes")
        }
        own = {OfflineQueueFull.code: False, Closed.code: False}
        self.assertEqual({code: kind.was_done for code, kind in FAMILY.items()}, documented | own)
        self.assertEqual(len(documented), 9)

    def test_a_code_that_is_not_known(self) -> None:
        """A later gateway may say more: its code is kept, and nothing is claimed."""
        failure = failure_of("MELTED", "too warm")
        self.assertIs(type(failure), MessageFailed)
        self.assertEqual((failure.code, failure.was_done), ("MELTED", None))
        self.assertEqual(str(failure), "MELTED: too warm")

    def test_more_is_known(self) -> None:
        """What is known of one message goes before what is known of its code."""
        self.assertIsNone(TooLarge("an answer").was_done)
        self.assertIs(TooLarge("ours", was_done=False).was_done, False)

    def test_survives_a_copy(self) -> None:
        """A failure can be handed to another process."""
        for failure in (failure_of("TIMEOUT", "x"), failure_of("MELTED", "y")):
            copy = pickle.loads(pickle.dumps(failure))
            self.assertEqual((type(copy), str(copy)), (type(failure), str(failure)))
