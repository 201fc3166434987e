"""
The gateway between our raw client and an echo backend, case by case.

`twistd` is started by the first test of a class, as trial knows no ``setUpClass``. A case that is
only NON-STRICT fails too: our gateway says why it closes, and does not wait with that.
"""

import atexit
from collections.abc import Callable, Iterable
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.bulk import LARGE_MESSAGE_LIMIT
from tests.conformance.case import Case
from tests.conformance.cases import CASES, LARGE_CASES
from tests.conformance.echo import EchoBackend
from tests.conformance.gateway import Gateway, GatewayError
from tests.conformance.handshakes import HandshakeCase
from tests.conformance.judge import Behaviour, run


class _Bench:
    """An echo backend with a gateway before it; started once, and only if a test asks."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._backend: EchoBackend | None = None
        self._gateway: Gateway | None = None
        self._broken: GatewayError | None = None

    def gateway(self) -> Gateway:
        """Return the running gateway; one that would not start is not tried again."""
        if self._broken is not None:
            raise self._broken
        if self._gateway is None:
            self._backend = EchoBackend().start()
            atexit.register(self.stop)
            try:
                self._gateway = Gateway(self._backend.port, *self._flags)
            except GatewayError as error:
                self._broken = error
                raise
        return self._gateway

    def stop(self) -> list[str]:
        """Stop both, once; return the gateway's last complaints."""
        gateway, self._gateway = self._gateway, None
        backend, self._backend = self._backend, None
        complaints = gateway.stop() if gateway is not None else []
        if backend is not None:
            backend.stop()
        return complaints


class _BenchTests(SynchronousTestCase):
    """Cases against one bench, which ends with the last of them."""

    bench: ClassVar[_Bench]

    @classmethod
    def tearDownClass(cls) -> None:
        if complaints := cls.bench.stop():
            raise cls.failureException("\n".join(complaints))

    def check(self, case: Case | HandshakeCase) -> None:
        """Run one case; the gateway's log must stay free of errors."""
        gateway = self.bench.gateway()
        verdict = run(case, gateway.target)
        bugs = gateway.new_bugs()
        if verdict.behaviour is not Behaviour.OK:
            self.fail(f"{case.id} {case.description}: {verdict.behaviour.value}: {verdict.reason}")
        if bugs:
            self.fail("the gateway logged an error, here or just before:\n" + "\n".join(bugs))


class ConformanceTests(_BenchTests):
    """Whatever RFC 6455 lets a client do is answered right, and what it forbids is refused."""

    bench = _Bench()


class LargeMessageTests(_BenchTests):
    """A gateway whose limit is raised carries messages of up to 16 MiB, and no more."""

    bench = _Bench("--limit", f"message={LARGE_MESSAGE_LIMIT}")


def _test_of(case: Case | HandshakeCase) -> Callable[[_BenchTests], None]:
    def test(self: _BenchTests) -> None:
        self.check(case)

    test.__doc__ = f"{case.description}."
    return test


def _add_tests(suite: type[_BenchTests], cases: Iterable[Case | HandshakeCase]) -> None:
    """Give the class a method for each case: case 5.3 becomes ``test_5_3``."""
    for case in cases:
        test = _test_of(case)
        test.__name__ = "test_" + case.id.replace(".", "_")
        test.__qualname__ = f"{suite.__qualname__}.{test.__name__}"
        setattr(suite, test.__name__, test)


_add_tests(ConformanceTests, CASES)
_add_tests(LargeMessageTests, LARGE_CASES)
