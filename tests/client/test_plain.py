"""The dialect ``orion.v1``: messages as docs/wire.md has them, and no resume."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.conversation import (
    Action,
    Attached,
    Deliver,
    Phase,
    Remark,
    Send,
    Settle,
)
from orion_twisted.client.failures import (
    BadMessage,
    Closed,
    Expired,
    MessageFailed,
    OutcomeUnknown,
    TimedOut,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.plain import GATEWAY_CODES, Plain, object_of
from tests.documents import code_in, read_page
from tests.vectors import vector

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class ObjectTests(SynchronousTestCase):
    """What becomes of a message before it has a number."""

    @given(st.dictionaries(st.text(), JSON), st.booleans())
    def test_the_number_is_ours(self, members: dict[str, object], spaced: bool) -> None:
        """All members go through, but for a number that somebody has given already."""
        text = json.dumps(members, indent=2 if spaced else None, ensure_ascii=spaced)
        sent = json.loads(object_of(text.encode()))
        self.assertEqual(sent, {key: members[key] for key in members if key != "@MSGID"})

    def test_values_are_untouched(self) -> None:
        """A number keeps its digits, a string its spelling."""
        self.assertEqual(
            object_of(b'{ "x": 1.10000000000000000001, "@MSGID":3, "y" : [1 ,"\\u0041"]}'),
            b'{"x":1.10000000000000000001,"y":[1 ,"\\u0041"]}',
        )

    def test_no_objects(self) -> None:
        """Anything but one JSON object in UTF-8 is refused."""
        for text in (b"", b"[]", b"7", b"{", b"{}{}", b"{'a':1}", b'{"a":"\xff"}', b'{"\xff":1}'):
            with self.subTest(text), self.assertRaises(ValueError):
                object_of(text)


class PlainTests(SynchronousTestCase):
    """A conversation, case by case."""

    def setUp(self) -> None:
        self.plain = Plain(ClientLimits(window=2, patience=0.5))

    def submit(self, text: bytes, kind: Kind = Kind.REQUEST, **options: bool) -> list[Action]:
        return self.plain.submit(kind, object_of(text), False, 0.0, timeout=10.0, **options)[1]

    def hear(self, text: bytes, is_binary: bool = False) -> list[Action]:
        return self.plain.received(text, is_binary, 0.0)

    def test_online_at_once(self) -> None:
        """There is no welcome: an open socket is one that can be used."""
        self.assertEqual(self.submit(b"{}"), [])
        actions = self.plain.opened(0.0)
        self.assertEqual(actions, [Attached(replaced=False), Send(b'{"@MSGID":1}')])

    def test_request(self) -> None:
        """The number stands in front."""
        self.plain.opened(0.0)
        for _ in range(6):
            self.submit(b"{}")
            self.hear(b'{"msgID":%d}' % (self.plain._outbound.last_number))
        sent = self.submit(b'{"cmd":"move","id":"f1","x":20,"y":25}')
        self.assertEqual(sent, [Send(vector("v1-request").octets)])
        answer = vector("v1-answer").octets
        self.assertEqual(self.hear(answer), [Settle(7, Result(answer, False))])

    def test_failures(self) -> None:
        """What the gateway answers itself is a failure; what the backend refuses is a result."""
        self.plain.opened(0.0)
        self.submit(b"{}")
        self.submit(b"{}")
        (action,) = self.hear(vector("v1-error").octets.replace(b"7", b"1"))
        assert isinstance(action, Settle)
        self.assertIsInstance(action.outcome, TimedOut)
        self.assertEqual(str(action.outcome), "TIMEOUT: no answer in time")
        refusal = b'{"msgID":2,"success":false,"message":"no","code":["E12"]}'
        self.assertEqual(self.hear(refusal), [Settle(2, Result(refusal, False, ok=False))])

    def test_codes(self) -> None:
        """All that the gateway may say; with success it is the backend's own word."""
        table = read_page("docs/wire.md").table("Outcomes")
        self.assertEqual(GATEWAY_CODES, {code_in(row[0])[0] for row in table})
        self.plain.opened(0.0)
        for code in sorted(GATEWAY_CODES):
            self.submit(b"{}")
            number = self.plain._outbound.last_number
            (action,) = self.hear(
                json.dumps({"msgID": number, "success": False, "code": code}).encode()
            )
            assert isinstance(action, Settle)
            assert isinstance(action.outcome, MessageFailed)
            self.assertEqual(action.outcome.code, code)
        self.submit(b"{}")
        (action,) = self.hear(b'{"msgID":%d,"success":true,"code":"TIMEOUT"}' % (number + 1))
        assert isinstance(action, Settle)
        self.assertIsInstance(action.outcome, Result)

    def test_bad_message(self) -> None:
        """The class of a code is that of its name."""
        self.plain.opened(0.0)
        self.submit(b"{}")
        (action,) = self.hear(b'{"msgID":1,"success":false,"code":"BAD_MESSAGE"}')
        assert isinstance(action, Settle)
        self.assertIsInstance(action.outcome, BadMessage)

    def test_notify(self) -> None:
        """Everything is answered in this dialect: that is the receipt."""
        self.plain.opened(0.0)
        self.submit(b"{}", Kind.NOTIFY)
        self.submit(b"{}", Kind.NOTIFY)
        self.assertEqual(
            self.hear(b'{"msgID":1,"success":true}'), [Settle(1, Receipt("answered"))]
        )
        self.assertEqual(
            self.hear(b'{"msgID":2,"success":false}'), [Settle(2, Receipt("answered", False))]
        )

    def test_window(self) -> None:
        """No more than the limit goes out without an answer."""
        self.plain.opened(0.0)
        self.assertEqual(len(self.submit(b"{}")), 1)
        self.assertEqual(len(self.submit(b"{}")), 1)
        self.assertEqual(self.submit(b"{}"), [])
        self.assertEqual(self.hear(b'{"msgID":2}')[1:], [Send(b'{"@MSGID":3}')])

    def test_pushes(self) -> None:
        """Whatever is no answer passes as it is."""
        self.plain.opened(0.0)
        for text in (b'{"event":"saved"}', b"[1]", b"plain", b'{"msgID":"a"}', b'{"msgID":1.5}'):
            with self.subTest(text):
                self.assertEqual(self.hear(text), [Deliver(Push(text, False))])
        self.assertEqual(
            self.hear(b'{"msgID":1}', is_binary=True), [Deliver(Push(b'{"msgID":1}', True))]
        )

    def test_answers_to_nothing(self) -> None:
        """An answer that nobody waits for is for the log."""
        self.plain.opened(0.0)
        for text in (b'{"msgID":1}', vector("v1-error-no-id").octets, b'{"msgID":0}'):
            (action,) = self.hear(text)
            self.assertIsInstance(action, Remark)

    def test_lost(self) -> None:
        """What was sent and not answered is unknown, or goes out again if that does no harm."""
        self.plain.opened(0.0)
        self.submit(b'{"a":1}')
        self.submit(b'{"a":2}', repeat_safe=True)
        self.submit(b'{"a":3}')
        (action,) = self.plain.lost(0.0)
        assert isinstance(action, Settle)
        self.assertEqual(action.ticket, 1)
        self.assertIsInstance(action.outcome, OutcomeUnknown)
        self.assertEqual(
            self.plain.opened(0.0)[1:],
            [Send(b'{"@MSGID":1,"a":2}'), Send(b'{"@MSGID":2,"a":3}')],
        )

    def test_time(self) -> None:
        """The local deadline holds here as well."""
        self.submit(b"{}")
        (action,) = self.plain.tick(10.0)
        assert isinstance(action, Settle)
        self.assertIsInstance(action.outcome, Expired)
        self.plain.opened(0.0)
        self.submit(b"{}")
        self.assertEqual(self.plain.tick(10.4), [])
        (action,) = self.plain.tick(10.5)
        assert isinstance(action, Settle)
        self.assertIsInstance(action.outcome, TimedOut)
        self.assertEqual(self.hear(b'{"msgID":1}'), [], "late")

    def test_leave(self) -> None:
        """There is no bye; everything ends."""
        self.plain.opened(0.0)
        for _ in range(3):
            self.submit(b"{}")
        kinds = [
            type(each.outcome) for each in self.plain.leave("stopped") if isinstance(each, Settle)
        ]
        self.assertEqual(kinds, [OutcomeUnknown, OutcomeUnknown, Closed])
        self.assertIs(self.plain.phase, Phase.ENDED)
        self.assertEqual(self.plain.lost(0.0), [])
