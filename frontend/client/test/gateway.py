"""
A real gateway with an engine for the tests of the browser client, ended by the end of its input.

    python frontend/client/test/gateway.py

It writes one line of JSON when all is ready, and one for each command that it reads from its
standard input:

    {"do": "restart"}   end the gateway in good order, and start another one
    {"do": "ledger"}    say how often each order has come to the engine

The engine is that of tests/faults: it does what a message asks of it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.faults.process import EngineProcess
from tests.harness import Gateway, HarnessError, free_port, make_certificates

TENANT = "shop1"
SETTINGS = """
[limits]
message = "256 KiB"

[tenant.shop1]
hosts = ["localhost"]
mode = "session"
dialect = "orion.v2"
backend = "tcp:127.0.0.1:{engine}"
token = {{ algorithms = ["HS256"], key_file = "{key}", required = false }}
session = {{ ttl = "60 s", window = 16, window_bytes = "64 KiB", deadline = "20 s" }}
"""


def say(**members: Any) -> None:
    print(json.dumps(members), flush=True)


def token(key_file: Path) -> str:
    """Return a token that the gateway takes."""
    settings = TokenSettings(key_file=key_file)
    key = signing_key(load_keys(key_file, settings.algorithms))
    return mint(TENANT, settings, key, time.time(), 600, subject="customer-1", single_use=False)


def start(flags: list[str], folder: Path, certificates: Path) -> Gateway:
    """Start a gateway; on another port, if somebody else has taken the one that was free."""
    try:
        return Gateway(flags, folder, certificates)
    except HarnessError as error:
        print(error, file=sys.stderr)
        return Gateway(flags, folder, certificates)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="orion-client-") as name:
        folder = Path(name)
        certificates = folder / "certs"
        ca_file = make_certificates(certificates, "localhost")
        key_file = folder / "key"
        key_file.write_text("a secret of the tests, of a length that is enough")
        key_file.chmod(0o600)
        port = free_port()
        engine = EngineProcess(folder, name="e", dialect="orion.v2", tenant=TENANT, port=port)
        settings = folder / "orion-bridge.toml"
        settings.write_text(SETTINGS.format(engine=port, key=key_file))
        flags = [f"--config={settings}", "--fallback=localhost"]
        engine.start()
        gateway = start(flags, folder, certificates)
        try:
            say(port=gateway.port, ca=ca_file.read_text(), token=token(key_file))
            for line in sys.stdin:
                if json.loads(line)["do"] == "restart":
                    gateway.stop()
                    gateway = start(flags, folder, certificates)
                    say(port=gateway.port)
                else:
                    got = Counter(e["id"] for e in engine.read_ledger() if e["e"] == "got")
                    say(got=got)
        finally:
            gateway.stop()
            engine.stop()


if __name__ == "__main__":
    main()
