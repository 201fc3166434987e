"""Runs that never were, for tests of what is made of figures."""

from bench.figures import GatewayFacts, Results, ScenarioFacts, Series, Visit


def series(gateway: str, *costs: float | None, scenario: str = "rr-64") -> Series:
    """Return the figures of a gateway: a visit for each cost, dropped where that is None."""
    visits = [
        Visit(None, dropped="a connection was lost") if cost is None else Visit(cost, 5000.0, 0.9)
        for cost in costs
    ]
    return Series(scenario, gateway, "us/message", tuple(visits))


def run(*figures: Series, base: str = "orion", **versions: str) -> Results:
    """Return a run with these figures; ``versions`` are those of gateways, 1.0 by default."""
    return Results(
        made="2026-11-26T12:00:00+00:00",
        base=base,
        seconds=2.0,
        repeat=max(len(each.visits) for each in figures),
        machine={"cpu": "A <fast> one"},
        gateways={
            each.gateway: GatewayFacts("a gateway", versions.get(each.gateway, "1.0"), "TLSv1.3")
            for each in figures
        },
        scenarios={
            each.scenario: ScenarioFacts("8 connections", "us/message", 64, 8, 1)
            for each in figures
        },
        series=list(figures),
    )
