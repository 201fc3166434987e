"""Single-use tokens whose use somebody else knows of: the gateway asks before it lets in."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import TokenRefused
from orion_twisted.core.settings import Settings, TokenSettings
from orion_twisted.core.spent_tokens import Use
from orion_twisted.service.gateway import Gateway
from orion_twisted.web.token_keys import SigningKey, TokenKey, TokenKeys
from orion_twisted.web.tokens import LEEWAY, TokenCheck, mint
from tests.service.test_gateway import SHOP, Node, Visitor

NOW = 1_800_000_000.0
SECRET = b"a secret of thirty-two bytes, say"
TOKEN = TokenSettings(key_file="keys/shop", most_life=3600.0)
SHOP_WITH_TOKEN = evolve(SHOP, token=TOKEN)


class AskingNode(Node):
    """A gateway that asks the test about each token's id."""

    def __init__(self) -> None:
        super().__init__(SHOP_WITH_TOKEN)
        keys = TokenKeys((TokenKey(None, "HS256", SECRET),))
        self.asked: list[tuple[str, float]] = []
        self.answers: list[Deferred[Use]] = []
        self.cancelled = 0
        self.gateway = Gateway(
            Settings(tenants=(SHOP_WITH_TOKEN,), limits=self.settings.limits),
            [self._listen],
            {"shop": [("tcp:shop", self.backend)]},
            self.clock,
            tokens={"shop": TokenCheck("shop", TOKEN, keys)},
            wall_clock=lambda: NOW,
            spend=self._spend,
        )
        self.gateway.privilegedStartService()
        self.gateway.startService()

    def _spend(self, tenant: str, token_id: str, end: float) -> Deferred[Use]:
        assert tenant == "shop"
        self.asked.append((token_id, end))
        answer: Deferred[Use] = Deferred(self._cancel)
        self.answers.append(answer)
        return answer

    def _cancel(self, _: Any) -> None:
        self.cancelled += 1

    def comes(self, **options: Any) -> Visitor:
        """Return a visitor that has shown a fresh token."""
        key = SigningKey(None, "HS256", SECRET)
        token = mint("shop", TOKEN, key, NOW, 60.0, **options)
        visitor = self.visitor()
        visitor.upgrade(f"/ws?token={token}")
        return visitor


class SpendingTests(SynchronousTestCase):
    """A token with an id, where this process does not know which have been used."""

    def setUp(self) -> None:
        self.node = AskingNode()
        self.addCleanup(self._look_for_remains)

    def _look_for_remains(self) -> None:
        self.node.empty()
        self.assertEqual(self.node.left_over, {})

    def test_first(self) -> None:
        """No backend is dialled before it is known that nobody has used the token."""
        visitor = self.node.comes()
        self.assertEqual([end for _, end in self.node.asked], [NOW + 60 + LEEWAY])
        self.assertEqual((self.node.backend.attempts, visitor.status), ([], None))
        self.node.answers[0].callback(Use.FIRST)
        self.node.backend.accept()
        self.node.turn()
        self.assertEqual(visitor.status, 101)

    def test_not_the_first(self) -> None:
        """A token that has been used, or for which there is no room, lets nobody in."""
        for use, status, reason in (
            (Use.AGAIN, 401, "token_replayed"),
            (Use.TOO_LATE, 401, "token_expired"),
            (Use.NO_ROOM, 503, "token_store_full"),
        ):
            visitor = self.node.comes()
            self.node.answers[-1].callback(use)
            self.node.turn()
            self.assertEqual((visitor.status, self.node.refused(reason)), (status, 1))
        self.assertEqual(self.node.backend.attempts, [])

    def test_no_answer(self) -> None:
        """Where nobody says whether it has been used, it is not let in: 503, come back."""
        visitor = self.node.comes()
        self.node.answers[0].errback(TokenRefused("token_store_silent"))
        self.node.turn()
        self.assertEqual(visitor.status, 503)
        self.assertIn("Retry-After: 5", visitor.head)
        self.assertEqual(self.node.refused("token_store_silent"), 1)

    def test_reusable(self) -> None:
        """A token without an id is nobody else's business."""
        visitor = self.node.comes(single_use=False)
        self.assertEqual(self.node.asked, [])
        self.node.backend.accept()
        self.node.turn()
        self.assertEqual(visitor.status, 101)

    def test_a_bad_token(self) -> None:
        """Neither is one that is refused anyway."""
        visitor = self.node.visitor()
        visitor.upgrade("/ws?token=a.b.c")
        self.assertEqual((self.node.asked, visitor.status), ([], 401))

    def test_gone_meanwhile(self) -> None:
        """A browser that goes away first is asked about no longer."""
        visitor = self.node.comes()
        visitor.vanish()
        self.assertEqual((self.node.cancelled, self.node.backend.attempts), (1, []))

    def test_gone_while_dialling(self) -> None:
        """One that goes away after the answer takes its dial along."""
        visitor = self.node.comes()
        self.node.answers[0].callback(Use.FIRST)
        visitor.vanish()
        self.assertTrue(self.node.backend.attempts[0].cancelled)

    def test_draining_meanwhile(self) -> None:
        """A gateway that drains before the answer comes begins nothing with it."""
        visitor = self.node.comes()
        stopped = self.node.stop()
        self.node.port.gone.callback(None)
        self.assertNoResult(stopped)
        self.node.answers[0].callback(Use.FIRST)
        self.node.turn()
        self.assertEqual((visitor.status, self.node.backend.attempts), (503, []))
        self.assertEqual(self.node.refused("draining"), 1)
        self.successResultOf(stopped)


class SpendingHereTests(SynchronousTestCase):
    """The same where this process has the store."""

    def test_once(self) -> None:
        """A token with an id lets one browser in, and no second one."""
        check = TokenCheck("shop", TOKEN, TokenKeys((TokenKey(None, "HS256", SECRET),)))
        node = Node(SHOP_WITH_TOKEN)
        node.gateway = Gateway(
            Settings(tenants=(SHOP_WITH_TOKEN,), limits=node.settings.limits),
            [lambda factory: (setattr(node, "factory", factory), succeed(node.port))[1]],
            {"shop": [("tcp:shop", node.backend)]},
            node.clock,
            tokens={"shop": check},
            wall_clock=lambda: NOW,
        )
        node.gateway.privilegedStartService()
        token = mint("shop", TOKEN, SigningKey(None, "HS256", SECRET), NOW, 60.0)
        for status in (101, 401):
            visitor = node.visitor()
            visitor.upgrade(f"/ws?token={token}")
            if status == 101:
                node.backend.accept()
                node.turn()
            self.assertEqual(visitor.status, status)
        self.assertEqual((len(check.spent), node.refused("token_replayed")), (1, 1))
        node.empty()
        self.assertEqual(node.left_over, {})
