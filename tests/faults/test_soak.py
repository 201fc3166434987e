"""The soak's short form: some shapes at once, each against a gateway process of its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from unittest import IsolatedAsyncioTestCase

from tests.faults.soak import Plan, Report, soak
from tests.harness import make_certificates

SHAPES = ("own-v1", "shared-v2", "dial-in-tcp", "dial-in-v1")

SEED = int(os.environ.get("SEED", "4"))


class SoakTests(IsolatedAsyncioTestCase):
    async def test_short(self) -> None:
        """Under a fault every 100 ms each message has one outcome; nothing is lost, or twice."""
        with tempfile.TemporaryDirectory(prefix="orion-") as folder:
            certificates = Path(folder)
            make_certificates(certificates, "localhost")

            async def run(shape: str) -> Report:
                plan = Plan(
                    shape,
                    SEED,
                    browsers=8,
                    messages=400,
                    rate=100.0,
                    warm_up=60,
                    ttl=2.5,
                    deadline=2.0,
                )
                return await soak(plan, certificates, lambda line: None)

            reports = await asyncio.gather(*map(run, SHAPES))
        for report in reports:
            print(*report.lines, sep="\n")
        self.assertEqual([line for report in reports for line in report.wrong], [])
