"""
Figures and what may be concluded from them.

Absolute costs move by a fifth from one run to the next on the same machine, so what is compared
are ratios: a gateway to the base, visited one after the other in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from attrs import field, frozen

ENOUGH_VISITS = 3
ENOUGH_SECONDS = 1.0
SMALL_DIFFERENCE = 0.05
"""With fewer or shorter visits than those, a difference below this says nothing."""


@frozen
class Spread:
    """A median, with the least and the most that were measured."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """Return the spread of some values, or None if there are none."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(median(ordered), ordered[0], ordered[-1])

    def __truediv__(self, other: Spread) -> Spread:
        """Return what the quotient of the two may be: nothing that was measured is outside."""
        return Spread(self.median / other.median, self.least / other.most, self.most / other.least)


@frozen
class Visit:
    """
    One run of one scenario on one gateway.

    Attributes:
        cost: in the scenario's unit; None if the run was dropped.
        rate: messages, MiB or connections per second.
        busy: the gateway's share of its CPU; well below 1 the load was the limit.
        others: the share of the CPUs that processes outside the benchmark took.
        dropped: why it does not count.
    """

    cost: float | None
    rate: float = 0.0
    busy: float = 0.0
    others: float = 0.0
    dropped: str | None = None


@frozen
class Series:
    """
    All visits of one scenario to one gateway; the n-th visits of all gateways are one round.

    Attributes:
        scenario: its name.
        gateway: its name.
        unit: of the costs.
        visits: in the order of the rounds.
    """

    scenario: str
    gateway: str
    unit: str
    visits: tuple[Visit, ...]

    @property
    def cost(self) -> Spread | None:
        """What it costs; None if every visit was dropped."""
        return Spread.of(self.costs)

    @property
    def costs(self) -> list[float]:
        """The costs of the visits that count."""
        return [each.cost for each in self.visits if each.cost is not None]

    @property
    def dropped(self) -> tuple[str, ...]:
        """Why visits were dropped, one reason for each."""
        return tuple(each.dropped for each in self.visits if each.dropped is not None)

    def ratio(self, base: Series) -> Spread | None:
        """
        Return the ratio to another gateway.

        The median is that of the medians; least and most are those of the rounds, since what
        disturbs one round disturbs its neighbours, too. None if there is no common round.
        """
        rounds = [
            mine.cost / other.cost
            for mine, other in zip(self.visits, base.visits, strict=False)
            if mine.cost is not None and other.cost
        ]
        mine, other = self.cost, base.cost
        if not rounds or mine is None or other is None:
            return None
        middle = mine.median / other.median
        return Spread(middle, min(middle, *rounds), max(middle, *rounds))


@frozen
class GatewayFacts:
    """
    What was measured.

    Attributes:
        about: one line.
        version: of all its parts.
        tls: version and cipher.
    """

    about: str
    version: str
    tls: str = ""


@frozen
class ScenarioFacts:
    """A scenario, as it was; see `bench.scenarios.Scenario`."""

    about: str
    unit: str
    size: int
    connections: int
    in_flight: int


@frozen(kw_only=True)
class Results:
    """
    A run.

    Attributes:
        made: when, UTC, ISO 8601.
        base: the gateway that the ratios are to.
        seconds: that a visit took, without its warm-up.
        repeat: rounds.
        machine: what it ran on, by name.
        gateways: by name, in their order.
        scenarios: by name, in their order.
        skipped: gateways that were not had, and why.
        left_out: gateways that had no part in a scenario, and why.
        series: all figures.
    """

    made: str
    base: str
    seconds: float
    repeat: int
    machine: dict[str, str]
    gateways: dict[str, GatewayFacts]
    scenarios: dict[str, ScenarioFacts]
    skipped: dict[str, str] = field(factory=dict)
    left_out: list[tuple[str, str, str]] = field(factory=list)
    series: list[Series] = field(factory=list)

    def find(self, scenario: str, gateway: str) -> Series | None:
        """Return the figures of a gateway in a scenario, or None if it had no part."""
        for each in self.series:
            if (each.scenario, each.gateway) == (scenario, gateway):
                return each
        return None

    def of_scenario(self, scenario: str) -> list[Series]:
        """Return the figures of a scenario, one for each gateway that had a part in it."""
        return [each for each in self.series if each.scenario == scenario]

    def base_of(self, scenario: str) -> Series | None:
        """Return what the ratios of a scenario are to: the base, or the first that has figures."""
        base = self.find(scenario, self.base)
        if base is not None and base.cost is not None:
            return base
        return next((each for each in self.of_scenario(scenario) if each.cost), None)

    @property
    def is_coarse(self) -> bool:
        """Whether small differences say nothing, for want of time."""
        return self.repeat < ENOUGH_VISITS or self.seconds < ENOUGH_SECONDS

    @property
    def others(self) -> Spread | None:
        """The share of the CPUs that others took, over all visits that took time."""
        visits = (visit for each in self.series for visit in each.visits)
        return Spread.of(visit.others for visit in visits if visit.rate)


def is_noise(change: Spread, *, visits: int, is_coarse: bool) -> bool:
    """
    Return whether a change says nothing.

    It does not if what was measured allows for no change at all, if it is small and the visits
    were few or short, or if there was but one of them: nobody knows its spread.

    Args:
        change: a quotient of two costs; 1 is no change.
        visits: how many either cost is of, whichever are fewer.
        is_coarse: whether they were few or short.
    """
    if visits < 2 or change.least <= 1 <= change.most:
        return True
    return is_coarse and abs(change.median - 1) < SMALL_DIFFERENCE
