"""Who asked what on a link, and who is answered, whatever the dialect."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.conversation import Answer, Conversation, Said
from orion_twisted.core.ledger import Entry
from orion_twisted.core.session import Session
from tests.core.sessions import message, session


class Plainest(Conversation):
    """A dialect of numbers alone."""

    def order(self, session: Session, entry: Entry, now: float) -> bytes:
        return b"%d" % self._asked(session, entry)

    def read(self, payload: bytes) -> Said:
        asked = self._calls.pop(int(payload), None)
        return self._stray(int(payload)) if asked is None else Answer(*asked, b"")


class ConversationTests(SynchronousTestCase):
    """Numbers on one link."""

    def setUp(self) -> None:
        self.one, self.other = session(), session()
        self.talk = Plainest()

    def reason(self, payload: bytes) -> str:
        said = self.talk.read(payload)
        return getattr(said, "reason", type(said).__name__)

    def test_everybody_gets_their_own(self) -> None:
        """Sessions may have the same numbers: on the link each message has its own."""
        first, second, third = message(1), message(1), message(2)
        numbers = [
            self.talk.order(self.one, first, 0.0),
            self.talk.order(self.other, second, 0.0),
            self.talk.order(self.one, third, 0.0),
        ]
        self.assertEqual((numbers, len(self.talk)), ([b"1", b"2", b"3"], 3))
        for number, who, entry in (
            (b"2", self.other, second),
            (b"3", self.one, third),
            (b"1", self.one, first),
        ):
            self.assertEqual(self.talk.read(number), Answer(who, entry, b""))
        self.assertEqual(len(self.talk), 0)

    def test_strays(self) -> None:
        """An answer that comes twice, or when it is given up, is late; one to no question is of
        nobody."""
        entries = [message(1), message(2)]
        for entry in entries:
            self.talk.order(self.one, entry, 0.0)
        self.talk.read(b"1")
        self.talk.forget(entries[1])
        self.assertEqual(
            [self.reason(each) for each in (b"1", b"2", b"3", b"0")],
            ["late", "late", "unknown", "unknown"],
        )

    def test_notifications_are_not_waited_for(self) -> None:
        """Nothing is kept for them, however many there are; what answers one is late."""
        for n in range(1, 100):
            self.talk.order(self.one, message(n, notify=True), 0.0)
        self.assertEqual((len(self.talk), self.reason(b"99")), (0, "late"))

    def test_forgetting_what_another_link_was_asked(self) -> None:
        """A message that was asked on a link before has a number there, and none here."""
        entry = message(1, safe=True)
        self.talk.order(self.one, entry, 0.0)
        self.talk = Plainest()
        other = message(1)
        self.talk.order(self.other, other, 0.0)
        self.talk.forget(entry)
        self.talk.forget(message(7))
        self.assertEqual(self.talk.read(b"1"), Answer(self.other, other, b""))

    def test_a_dialect_without_notices(self) -> None:
        """Unless it says otherwise, a dialect tells nothing of sessions, nor asks for life."""
        self.assertFalse(self.talk.has_notices)
        self.assertEqual(
            (self.talk.opened(self.one), self.talk.gone("s"), self.talk.ping()), (None,) * 3
        )
