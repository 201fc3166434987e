"""A run: all gateways up at once, visited in turn, scenario by scenario."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from attrs import evolve, frozen

from bench.client import Door, client_context
from bench.figures import GatewayFacts, Results, ScenarioFacts, Series, Visit
from bench.frames import LoadError
from bench.gateways import Gateway, Missing, Place
from bench.load import Load
from bench.machine import Cpus
from bench.measure import Window
from bench.processes import NotStarted, Process, free_port, start_backend
from bench.scenarios import Kind, Scenario
from bench.slices import held
from orion_twisted.net.devca import make_dev_certificates

WARM_UP = 0.3
"""The share of a visit's time that goes before it, for caches and windows to settle."""
FIRST_CONNECTIONS = 8
"""Opened and closed before memory is measured: what a gateway loads with them stays."""


@frozen(kw_only=True)
class Plan:
    """
    What to run.

    Attributes:
        gateways: the first one that can be had is the base, unless another is named.
        scenarios: what each of them is given to do.
        seconds: of one visit.
        repeat: visits of each gateway in each scenario.
        repeat_memory: likewise, where memory is measured, which is steadier and takes longer.
        base: the name of the gateway that ratios are to.
        cpus: whose CPU is which.
        real_time: whether all processes are in the real-time class.
        share: of the time, that each process of a gateway may run; None: as it likes.
    """

    gateways: Sequence[Gateway]
    scenarios: Sequence[Scenario]
    seconds: float
    repeat: int
    repeat_memory: int
    base: str
    cpus: Cpus
    real_time: bool = False
    share: float | None = None

    def repeats_of(self, scenario: Scenario) -> int:
        return self.repeat_memory if scenario.kind is Kind.MEMORY else self.repeat


class Run:
    """
    All processes of a run, and the figures that they give.

    Args:
        plan: what to run.
        tell: is told what goes on, line by line.
    """

    def __init__(self, plan: Plan, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._stack = ExitStack()
        self._skipped: dict[str, str] = {}
        self._facts: dict[str, GatewayFacts] = {}
        self._running: dict[str, Process] = {}
        self._backends: dict[str, Process] = {}

    def __enter__(self) -> Self:
        try:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            self._folder = Path(folder)
            self._certificates = self._folder / "certs"
            made = make_dev_certificates(self._certificates, ["localhost"], datetime.now(UTC))
            self._ca_file = made.ca_file
            self._start_all()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_all(self) -> None:
        for gateway in self._plan.gateways:
            try:
                version = gateway.version()
                process = self._start(gateway)
            except (Missing, NotStarted) as error:
                self._skipped[gateway.name] = str(error)
                self._tell(f"{gateway.name} is left out: {error}")
                continue
            self._running[gateway.name] = self._stack.enter_context(process)
            self._facts[gateway.name] = GatewayFacts(gateway.about, version)
            self._tell(f"{gateway.name}: {version}")

    def _start(self, gateway: Gateway) -> Process:
        """Start a gateway, and its backend if that does not run yet."""
        cpus, real_time = self._plan.cpus, self._plan.real_time
        name = gateway.backend
        if name not in self._backends:
            backend = start_backend(name, self._new_folder(), cpus.load, real_time=real_time)
            self._backends[name] = self._stack.enter_context(backend)
        folder = self._new_folder()
        place = Place(free_port(), self._backends[name].port, self._certificates, folder)
        command, environment = gateway.command(place), gateway.environment()
        return Process(
            command, place.port, folder, cpus.gateways, environment, real_time=real_time
        )

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))

    def results(self, machine: dict[str, str]) -> Results:
        """Run everything; return the figures."""
        plan = self._plan
        left_out: list[tuple[str, str, str]] = []
        series: list[Series] = []
        for scenario in plan.scenarios:
            gateways = []
            for gateway in plan.gateways:
                if gateway.name not in self._running:
                    continue
                if (why := gateway.cannot(scenario)) is None:
                    gateways.append(gateway)
                elif why:
                    left_out.append((scenario.name, gateway.name, why))
            self._tell(f"{scenario.name}: {scenario.about}")
            series += self._rounds(scenario, gateways)
        names = list(self._running)
        return Results(
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            base=plan.base if plan.base in names or not names else names[0],
            seconds=plan.seconds,
            repeat=plan.repeat,
            machine=machine,
            gateways=self._facts,
            scenarios={
                each.name: ScenarioFacts(
                    each.about, each.unit, each.size, each.connections, each.in_flight
                )
                for each in plan.scenarios
            },
            skipped=self._skipped,
            left_out=left_out,
            series=series,
        )

    def _rounds(self, scenario: Scenario, gateways: Sequence[Gateway]) -> list[Series]:
        visits: dict[str, list[Visit]] = {each.name: [] for each in gateways}
        for _ in range(self._plan.repeats_of(scenario)):
            for gateway in gateways:
                visit = self._visit(scenario, gateway)
                visits[gateway.name].append(visit)
                if visit.dropped is not None:
                    self._tell(f"  {gateway.name}: dropped: {visit.dropped}")
        return [
            Series(scenario.name, name, scenario.unit, tuple(each))
            for name, each in visits.items()
        ]

    def _visit(self, scenario: Scenario, gateway: Gateway) -> Visit:
        try:
            if scenario.kind is Kind.MEMORY:
                # A process of its own: what a gateway had before, it may not have given back.
                with self._start(gateway) as process:
                    return self._memory(scenario, gateway, process)
            process = self._running[gateway.name]
            if not process.is_running:
                raise NotStarted(f"it has ended: {process.last_words()}")
            return self._time(scenario, gateway, process)
        except (LoadError, NotStarted, Missing) as error:
            return Visit(None, dropped=str(error))

    def _load(self, scenario: Scenario, gateway: Gateway, process: Process) -> Load:
        framing = gateway.framing()
        context = client_context(self._ca_file, newest=gateway.has_tls_1_3)
        door = Door(process.port, context, framing, subprotocol=gateway.subprotocol)
        return Load(door, gateway.talks(scenario, framing), scenario.in_flight)

    def _time(self, scenario: Scenario, gateway: Gateway, process: Process) -> Visit:
        plan = self._plan
        ours = [os.getpid(), *(each.pid for each in self._backends.values())]
        window = Window(process.tree, ours, plan.cpus.both)
        warm_up = WARM_UP * plan.seconds
        connections = gateway.connections(scenario)
        load = self._load(scenario, gateway, process)
        try:
            if scenario.kind is not Kind.CONNECTIONS:
                load.open(connections)
            with self._held(process):
                if scenario.kind is Kind.CONNECTIONS:
                    outcome = load.storm(connections, warm_up, plan.seconds, window)
                else:
                    outcome = load.run(warm_up, plan.seconds, window)
        finally:
            load.close()
        self._note_tls(gateway, outcome.tls)
        units = scenario.units_of(outcome.count)
        return Visit(
            cost=window.cpu * 1e6 / units,
            rate=units / outcome.seconds,
            busy=window.cpu / window.seconds,
            others=window.others / (window.seconds * len(plan.cpus.both)),
        )

    def _held(self, process: Process) -> AbstractContextManager[None]:
        """Hold a gateway's workers to their shares, or itself if it has none."""
        if self._plan.share is None:
            return nullcontext()
        pids = process.tree.pids()
        return held(pids[1:] or pids, self._plan.share)

    def _memory(self, scenario: Scenario, gateway: Gateway, process: Process) -> Visit:
        connections = gateway.connections(scenario)
        self._memory_with(FIRST_CONNECTIONS, scenario, gateway, process)
        before = process.tree.memory()
        after = self._memory_with(connections, scenario, gateway, process)
        return Visit(cost=(after - before) / connections)

    def _memory_with(
        self, connections: int, scenario: Scenario, gateway: Gateway, process: Process
    ) -> int:
        """Open connections, send a message on each; return the memory then, in KiB."""
        load = self._load(scenario, gateway, process)
        try:
            load.open(connections)
            self._note_tls(gateway, load.echo_once())
            return process.tree.memory()
        finally:
            load.close()

    def _note_tls(self, gateway: Gateway, tls: tuple[str, str]) -> None:
        facts = self._facts[gateway.name]
        self._facts[gateway.name] = evolve(facts, tls=" ".join(tls))


def tell_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
