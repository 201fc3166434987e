"""Single use: what has been used is not taken again, and what cannot be remembered neither."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.spent_tokens import MOST_SPENT, SpentTokens, Use


class SpentTokensTests(SynchronousTestCase):
    """`SpentTokens`."""

    def test_once(self) -> None:
        """A token can be used once, until its end."""
        spent = SpentTokens()
        self.assertIs(spent.use("a", 160, 100), Use.FIRST)
        self.assertIs(spent.use("a", 160, 100), Use.AGAIN)
        self.assertIs(spent.use("b", 160, 100), Use.FIRST)
        self.assertIs(spent.use("a", 160, 159.9), Use.AGAIN)
        self.assertIs(spent.use("a", 160, 160), Use.TOO_LATE)

    def test_the_id_counts(self) -> None:
        """Another token with an id that has been used is refused, whatever its end."""
        spent = SpentTokens()
        spent.use("a", 160, 100)
        self.assertIs(spent.use("a", 120, 100), Use.AGAIN)
        self.assertIs(spent.use("a", 500, 100), Use.AGAIN)

    def test_forgets(self) -> None:
        """Ids are kept until their end and no longer, in whatever order they came."""
        spent = SpentTokens()
        for name, end in (("a", 130.0), ("b", 110.0), ("c", 120.0), ("d", 110.0)):
            spent.use(name, end, 100)
        self.assertEqual(len(spent), 4)
        spent.use("e", 200, 110)
        self.assertEqual(len(spent), 3)
        spent.use("f", 200, 130)
        self.assertEqual(len(spent), 2)

    def test_full(self) -> None:
        """A full store takes nobody on trust; there is room again when ids have ended."""
        spent = SpentTokens(most=2)
        spent.use("a", 110, 100)
        spent.use("b", 120, 100)
        self.assertIs(spent.use("c", 150, 109), Use.NO_ROOM)
        self.assertIs(spent.use("a", 110, 109), Use.AGAIN)
        self.assertIs(spent.use("c", 150, 110), Use.FIRST)
        self.assertIs(spent.use("d", 150, 110), Use.NO_ROOM)

    def test_limit(self) -> None:
        """The usual store has a limit, too."""
        spent = SpentTokens()
        for number in range(MOST_SPENT):
            spent.use(str(number), 200, 100)
        self.assertIs(spent.use("one more", 200, 100), Use.NO_ROOM)
        self.assertEqual(len(spent), MOST_SPENT)

    def test_clock_set_back(self) -> None:
        """A clock that jumps ahead and back does not let a used token in again."""
        spent = SpentTokens()
        spent.use("a", 160, 100)
        spent.use("b", 10_000, 5000)
        self.assertIs(spent.use("a", 160, 101), Use.TOO_LATE)
        self.assertIs(spent.use("c", 5001, 101), Use.FIRST)

    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.integers(0, 20)),
            max_size=60,
        ),
        st.integers(1, 4),
    )
    def test_never_twice(self, uses: list[tuple[str, int, int]], most: int) -> None:
        """Whatever comes, on whatever clock: one token is never taken twice; memory is bounded."""
        spent = SpentTokens(most)
        taken: set[tuple[str, int]] = set()
        for name, end, now in uses:
            if spent.use(name, end, now) is Use.FIRST:
                self.assertNotIn((name, end), taken)
                self.assertLess(now, end)
                taken.add((name, end))
            self.assertLessEqual(len(spent), most)
