"""What each of several workers may have, of what the node may."""

from attrs import asdict, evolve, fields
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.settings import Limits, Settings, Tenant, TenantLimits
from orion_twisted.core.shares import DIVIDED, DIVIDED_OF_TENANT, share_of

SHOP = Tenant(name="shop", hosts=("*",), backend=("tcp:127.0.0.1:7000",))

OF_ONE = {
    "message",
    "header",
    "handshake",
    "message_time",
    "message_rate",
    "byte_rate",
    "ping_every",
    "ping_timeout",
    "idle",
    "drain",
}
"""The limits of one browser, message or request, which is in one process anyway."""


class SharesTests(SynchronousTestCase):
    """`share_of`."""

    def test_every_limit_is_one_or_the_other(self) -> None:
        """A new limit has to say whether workers share it."""
        self.assertEqual({each.name for each in fields(Limits)}, OF_ONE | set(DIVIDED))
        self.assertEqual(OF_ONE & set(DIVIDED), set())
        self.assertEqual(
            {each.name for each in fields(TenantLimits)} - OF_ONE, set(DIVIDED_OF_TENANT)
        )

    def test_rounded_up(self) -> None:
        """Nobody's share is nothing: what does not divide evenly is rounded up."""
        limits = Limits(connections=10, connections_per_ip=1, memory=7, sessions=3)
        share = share_of(Settings(limits=limits, workers=4), 4).limits
        self.assertEqual(
            (share.connections, share.connections_per_ip, share.memory, share.sessions),
            (3, 1, 2, 1),
        )

    def test_no_limit(self) -> None:
        """No limit stays none, of the node and of a tenant."""
        settings = Settings(limits=Limits(connect_rate_per_ip=0), tenants=(SHOP,))
        share = share_of(settings, 8)
        self.assertEqual(share.limits.connect_rate_per_ip, 0)
        self.assertEqual(share.tenants, (SHOP,))

    def test_tenants(self) -> None:
        """A tenant's own limits are divided like the node's; of a message there are no shares."""
        limits = TenantLimits(connections=500, message=1000)
        settings = Settings(tenants=(evolve(SHOP, limits=limits), SHOP))
        first, second = share_of(settings, 3).tenants
        self.assertEqual((first.limits.connections, first.limits.message), (167, 1000))
        self.assertEqual(second, SHOP)

    def test_the_rest_stays(self) -> None:
        """A worker's settings are the node's but for that, and for running alone."""
        settings = Settings(workers=0, fallback="localhost", tenants=(SHOP,))
        share = share_of(settings, 2)
        self.assertEqual(share.workers, 1)
        self.assertEqual(evolve(share, workers=0, limits=settings.limits), settings)

    @given(st.integers(1, 256), st.integers(1, 1 << 40))
    def test_together(self, workers: int, whole: int) -> None:
        """All shares together are the whole, and less than one for each worker beyond it."""
        limits = Limits(**dict.fromkeys(DIVIDED, whole))
        share = asdict(share_of(Settings(limits=limits), workers).limits)
        for name in DIVIDED:
            self.assertTrue(whole <= share[name] * workers < whole + workers)
