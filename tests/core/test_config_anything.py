"""Settings: whatever a file may hold is either right, or a list of mistakes."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.config import (
    ConfigError,
    DialInSettings,
    Limits,
    SessionSettings,
    Settings,
    Tenant,
    describe,
    effective_message_limit,
    load_settings,
    merge,
)
from orion_twisted.core.structure import keys_of
from tests.core.settings_texts import MIB

# Words that mean something, in places where they may, and anything else.
WORDS = (
    st.sampled_from(["", "*", "a.example", "/ws", "1 s", "1 KiB", "mqtt", "orion.v2"])
    | st.sampled_from(["tls:1", "tcp:h:1", "tcp:1", "unix:/a", "ws:/ws", "ws:/a", "dial-in"])
    | st.sampled_from(["relay", "tunnel", "session", "int16", "line", "tagged", "utf-8"])
    | st.just("per-browser")
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
KEYS = st.text(max_size=5) | st.sampled_from(
    [
        key
        for table in (Settings, Limits, Tenant, SessionSettings, DialInSettings)
        for key in keys_of(table)
    ]
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
TENANTS = st.dictionaries(
    st.sampled_from(["a", "A", "b"]) | st.text(max_size=3),
    ANYTHING
    | st.fixed_dictionaries(
        {},
        optional={
            "hosts": st.lists(WORDS, max_size=3) | ANYTHING,
            "backend": st.lists(WORDS, max_size=2) | ANYTHING,
            "mode": WORDS,
            "path": WORDS,
            "site": WORDS,
            "limits": st.dictionaries(KEYS, SCALARS, max_size=3) | ANYTHING,
            "session": ANYTHING,
            "subprotocols": st.lists(WORDS, max_size=3) | ANYTHING,
        },
    ),
    max_size=3,
)
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "tenant": TENANTS | ANYTHING,
        "listen": st.lists(WORDS, max_size=3) | ANYTHING,
        "limits": st.dictionaries(KEYS, SCALARS, max_size=4) | ANYTHING,
        "certificates": SCALARS,
    },
) | st.dictionaries(KEYS, ANYTHING, max_size=6)

# Tables that are right in themselves; what is drawn above may spoil one of them.
RIGHT_LIMITS = st.fixed_dictionaries(
    {}, optional={"message": st.integers(1, MIB), "connections": st.integers(1, 20000)}
)
RIGHT_TABLES = st.fixed_dictionaries(
    {
        "tenant": st.fixed_dictionaries(
            {
                "a": st.fixed_dictionaries(
                    {
                        "hosts": st.sets(st.sampled_from(["x", "*.x", "*"]), min_size=1).map(list),
                        "backend": st.sampled_from(["tcp:h:1", "unix:/a", ["tls:h:1", "tcp:h:1"]]),
                    },
                    optional={
                        "mode": st.sampled_from(["relay", "tunnel", "session"]),
                        "path": st.sampled_from(["/", "/ws"]),
                        "compression": st.booleans(),
                        "limits": RIGHT_LIMITS,
                    },
                )
            }
        )
    },
    optional={"listen": st.sampled_from([["tls:1"], ["tcp:0", "unix:/a"]])},
)
TOUCHED_TABLES = st.builds(
    merge,
    RIGHT_TABLES,
    st.fixed_dictionaries(
        {},
        optional={
            "limits": RIGHT_LIMITS | ANYTHING,
            "tenant": st.dictionaries(
                st.sampled_from(["a", "b"]),
                st.dictionaries(KEYS, WORDS | ANYTHING, max_size=2),
                max_size=1,
            ),
        },
    ),
)


class AnyTableTests(SynchronousTestCase):
    """`load_settings`, of whatever there may be."""

    def check(self, raw: dict[str, Any]) -> None:
        """Load: the result has to be settings, or a list of printable problems."""
        try:
            loaded = load_settings(raw)
        except ConfigError as error:
            self.assertTrue(error.problems)
            for problem in error.problems:
                self.assertTrue(str(problem).isprintable())
        else:
            self.assertTrue(all(line.isprintable() for line in describe(loaded)))
            for tenant in loaded.tenants:
                self.assertGreater(effective_message_limit(loaded, tenant), 0)

    @given(TABLES)
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_anything(self, raw: dict[str, Any]) -> None:
        """Any table is settings, or a list of mistakes; never another exception."""
        self.check(raw)

    @given(TOUCHED_TABLES)
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_nearly_right(self, raw: dict[str, Any]) -> None:
        """So is a table that was right until something in it was changed."""
        self.check(raw)

    @given(RIGHT_TABLES)
    @settings(deadline=None)
    def test_right(self, raw: dict[str, Any]) -> None:
        """What has no mistake is never refused, and twice the same is the same."""
        self.assertEqual(load_settings(raw), load_settings(raw))
