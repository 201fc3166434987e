"""The gate: what it reads as a request, what it refuses, and who gets the connection."""

from __future__ import annotations

import gc
import re
from http import HTTPStatus
from typing import Any
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import ssl
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import stringToDatetime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as SiteRequest

from orion_twisted.core.admission import Verdict
from orion_twisted.core.handshake import Refused, Request
from orion_twisted.web.gate import LINGER, STALLED_CLOSE_TIMEOUT, Admission, GateFactory, HttpGate
from orion_twisted.web.heads import error_response, read_head
from orion_twisted.web.site import KEEP_ALIVE
from tests.certificates import issue
from tests.transports import EVERYTHING, Pipe, pending
from tests.web.door import (
    DEADLINE,
    MAX_HEAD,
    NOT_FOUND,
    Answer,
    GateTestCase,
    PageTestCase,
    head,
)

BUSY = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", ((b"Retry-After", b"5"),))


class Owner(Protocol):
    """Whoever owns the socket after the gate."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class ReadHeadTests(SynchronousTestCase):
    """What a request's head may look like."""

    def assert_refused(self, head: bytes, status: int, reason: str) -> None:
        answer = read_head(head)
        assert isinstance(answer, Refused), answer
        self.assertEqual((answer.status, answer.reason), (status, reason))

    def read(self, head: bytes) -> Request:
        answer = read_head(head)
        assert isinstance(answer, Request), answer
        return answer

    def test_parts_of_a_request(self) -> None:
        """Method, path and query come as they were sent, header names in lower case."""
        request = self.read(
            b"GET /a%2Fb;c?token=x&y HTTP/1.1\r\nHOST: Shop.Example:8889\r\n"
            b"X-Twice: 1\r\nx-twice:\t 2 \t\r\nX-Empty:\r\n\r\n"
        )
        self.assertEqual(
            (request.method, request.path, request.query), ("GET", "/a%2Fb;c", "token=x&y")
        )
        self.assertEqual(
            request.headers,
            (
                (b"host", b"Shop.Example:8889"),
                (b"x-twice", b"1"),
                (b"x-twice", b"2"),
                (b"x-empty", b""),
            ),
        )

    def test_what_is_refused(self) -> None:
        """Whatever two parsers might read in two ways is refused before either sees it."""
        good = b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"
        for name, bad in {
            "bare LF": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            "bare LF in a header": good % b"a\nY: b",
            "bare CR": good % b"a\rb",
            "CR CR LF": b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
            "NUL": good % b"a\0b",
            "DEL": good % b"a\x7fb",
            "vertical tab": good % b"a\x0bY: b",
            "form feed": good % b"a\x0cb",
            "folded by a space": good % b"a\r\n b",
            "folded by a tab": good % b"a\r\n\tb",
            "a space before the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
            "a space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "no colon": b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n",
            "no name": b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
            "obs-text in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\xff: b\r\n\r\n",
            "obs-text in the target": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
            "no host": b"GET / HTTP/1.1\r\n\r\n",
            "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
            "no version": b"GET /\r\nHost: a\r\n\r\n",
            "lower-case version": b"GET / http/1.1\r\nHost: a\r\n\r\n",
            "empty lines only": b"\r\n\r\n",
            "an answer": b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n",
            "two different lengths": b"GET / HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "a length that is no number": b"GET / HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: +1\r\n\r\n",
            "another transfer coding": b"GET / HTTP/1.1\r\nHost: a\r\n"
            b"Transfer-Encoding: xchunked\r\n\r\n",
            "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        }.items():
            with self.subTest(name):
                self.assert_refused(bad, 400, "head_malformed")

    def test_half_a_head(self) -> None:
        """A head that does not end is none."""
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\n", 400, "head_malformed")

    def test_other_versions(self) -> None:
        """HTTP/1.0 and HTTP/2 are told so: the gate speaks HTTP/1.1."""
        for version in (b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"HTTP/3.0"):
            with self.subTest(version):
                self.assert_refused(b"GET / %s\r\nHost: a\r\n\r\n" % version, 505, "http_version")
        self.assert_refused(b"PRI * HTTP/2.0\r\n\r\n", 505, "http_version")

    def test_absolute_target(self) -> None:
        """A target in absolute form names the host, and the Host header does not."""
        for target, host, path, query in (
            (b"http://b.example:81/ws?x=1", b"b.example:81", "/ws", "x=1"),
            (b"https://b.example", b"b.example", "/", ""),
            (b"WSS://b.example/a?", b"b.example", "/a", ""),
            (b"ws://[::1]:1/a;b?c?d", b"[::1]:1", "/a;b", "c?d"),
        ):
            with self.subTest(target):
                request = self.read(b"GET %s HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n" % target)
                self.assertEqual(request.values(b"host"), [host])
                self.assertEqual((request.path, request.query), (path, query))
                self.assertEqual(request.values(b"x"), [b"y"])
        self.assert_refused(b"GET http://b/ HTTP/1.1\r\n\r\n", 400, "head_malformed")

    def test_other_targets(self) -> None:
        """A target that is no path on this server is refused."""
        for target in (
            b"*",
            b"a.example:443",
            b"a.example",
            b"ftp://a.example/",
            b"http:/ws",
            b"http:///ws",
            b"http://[::1/ws",
            b"?x",
            b"#x",
            b"\\ws",
        ):
            with self.subTest(target):
                self.assert_refused(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % target, 400, "target")

    def test_obs_text_in_a_header(self) -> None:
        """A header that nobody needs may hold any letters, as proxies and shops send them."""
        request = self.read(b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: M\xfcller\x85x\r\n\r\n")
        self.assertEqual(request.values(b"x-name"), [b"M\xfcller\x85x"])

    @given(st.binary(max_size=300))
    @settings(deadline=None)
    def test_any_head_has_an_answer(self, data: bytes) -> None:
        """Whatever comes is read or refused; nothing raises."""
        for start in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET http://"):
            self.assertIsInstance(read_head(start + data + b"\r\n\r\n"), Request | Refused)


class HeadTests(GateTestCase):
    """Taking a request from the connection."""

    def test_byte_by_byte(self) -> None:
        """A request that comes in pieces of one byte is the same request."""
        self.connect()
        for byte in head("/ws", "X: y"):
            self.assertEqual(self.door.requests, [])
            self.say(bytes([byte]))
        (request,) = self.door.requests
        self.assertEqual((request.path, request.values(b"x")), ("/ws", [b"y"]))

    def test_line_by_line(self) -> None:
        """A client that sends one line after the other is let in."""
        self.connect()
        for line in head("/ws", "X: y").splitlines(keepends=True):
            self.say(line)
        self.assertEqual([request.path for request in self.door.requests], ["/ws"])
        self.assertEqual(self.door.refusals, [])

    def test_largest_head(self) -> None:
        """A head of exactly the limit is read, and what follows it does not count."""
        request = head("/ws", "X: ")
        request = request.replace(b"X: ", b"X: " + b"y" * (MAX_HEAD - len(request)))
        self.assertEqual(len(request), MAX_HEAD)
        for sizes in ([MAX_HEAD], [1] * MAX_HEAD, [MAX_HEAD - 1, 1]):
            self.setUp()
            self.connect()
            at = 0
            for size in sizes:
                self.say(request[at : at + size])
                at += size
            self.assertEqual(len(self.door.requests), 1)
        self.setUp()
        self.connect()
        self.say(request + b"z" * MAX_HEAD)
        self.assertEqual(self.reasons, [])

    def test_too_large(self) -> None:
        """One byte more is 431, as soon as it has come, and nothing is decided."""
        request = head("/ws", "X: ")
        request = request.replace(b"X: ", b"X: " + b"y" * (MAX_HEAD + 1 - len(request)))
        for pieces in ([request], [bytes([byte]) for byte in request], [b"G" * (MAX_HEAD + 1)]):
            self.setUp()
            self.connect()
            for piece in pieces:
                self.say(piece)
            self.assertEqual(self.answer().code, b"431")
            self.assertEqual((self.door.requests, self.reasons), ([], ["head_too_large"]))

    def test_malformed_is_refused_early(self) -> None:
        """A line that ends wrongly is answered at once, not at the deadline."""
        for data in (b"GET / HTTP/1.1\nHost", b"GET / HTTP/1.1\rHost"):
            self.setUp()
            self.connect()
            self.say(data)
            self.assertEqual(self.answer().code, b"400")
            self.assertEqual(self.reasons, ["head_malformed"])

    @given(st.data())
    @settings(deadline=None, max_examples=300)
    def test_chunks_do_not_matter(self, data: st.DataObject) -> None:
        """Any bytes, cut anywhere, never raise and are answered as if they came at once."""
        text = st.sampled_from(
            [b"GET / HTTP/1.1\r\n", b"Host: shop.example\r\n", b"\r\n", b"\r", b"\n", b"X: ", b" "]
        )
        piece = text | st.binary(max_size=20) | st.just(b"y" * (MAX_HEAD - 60))
        stream = b"".join(data.draw(st.lists(piece, max_size=8)))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        bytewise = [stream[at : at + 1] for at in range(len(stream))]
        self.assertEqual(self._told(pieces), self._told([stream]))
        self.assertEqual(self._told(bytewise), self._told([stream]))

    def _told(self, pieces: list[bytes]) -> Any:
        self.setUp()
        self.door.decisions.clear()
        self.connect()
        for piece in filter(None, pieces):
            self.say(piece)
        taken = re.sub(rb"Date: [^\r]*", b"", bytes(self.wire.taken))
        return taken, self.door.refusals, self.door.requests, self.door.log

    def test_first_request_ends_the_handshake(self) -> None:
        """A connection counts as pending until its first request is whole."""
        self.connect()
        self.assertEqual(self.door.log, ["arrived"])
        self.say(head("/ws"))
        self.assertEqual(self.door.log, ["arrived", "handshaken"])
        self.assertEqual(pending(self.clock), [])


class DeadlineTests(GateTestCase):
    """Connections that take their time."""

    def test_too_slow(self) -> None:
        """Whoever has not sent its request by the deadline is cut off, and it is counted."""
        self.connect()
        self.say(b"GET / HTTP")
        self.clock.advance(DEADLINE - 0.01)
        self.say(b"/1")
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.01)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(self.reasons, ["handshake_timeout"])
        self.turn()
        self.assertEqual((self.door.log, pending(self.clock)), (["arrived", "left"], []))

    def test_gone_before_its_request(self) -> None:
        """A connection that leaves early leaves nothing behind."""
        self.connect()
        self.say(b"GET / HTTP")
        self.wire.hears_end()
        self.assertEqual((self.door.log, pending(self.clock)), (["arrived", "left"], []))
        self.assertEqual(self.door.refusals, [])

    def test_waiting_in_line(self) -> None:
        """One that has to wait is not read, and goes on when its turn comes."""
        self.door.verdict = Verdict.WAIT
        self.connect()
        self.assertFalse(self.wire.reading)
        self.say(head("/ws"))
        self.assertEqual(self.door.requests, [])
        self.gate.proceed()
        self.turn()
        self.assertEqual(len(self.door.requests), 1)

    def test_waits_no_longer_than_the_deadline(self) -> None:
        """Waiting counts: the deadline begins with the connection."""
        self.door.verdict = Verdict.WAIT
        self.connect()
        self.clock.advance(DEADLINE)
        self.turn()
        self.assertEqual((self.wire.aborted, self.reasons), (True, ["handshake_timeout"]))

    def test_no_place_at_all(self) -> None:
        """One that finds no place is cut off at once, without an answer."""
        self.door.verdict = Verdict.LEAVE
        self.connect()
        self.turn()
        self.assertEqual((self.wire.aborted, bytes(self.wire.taken)), (True, b""))
        self.assertEqual((self.door.log, pending(self.clock)), (["arrived", "left"], []))

    def test_closed_before_its_request(self) -> None:
        """On shutdown a connection that has not asked for anything is closed."""
        self.connect()
        self.gate.close()
        self.turn()
        self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
        self.assertEqual((self.door.log, pending(self.clock)), (["arrived", "left"], []))

    def test_address(self) -> None:
        """Limits count IP addresses; a UNIX socket has none."""
        self.connect()
        self.assertEqual(self.gate.address, "192.0.2.1")
        self.setUp()
        self.patch(Pipe, "getPeer", lambda _: UNIXAddress("socket"))
        self.connect()
        self.assertEqual(self.gate.address, "")


class RefusalTests(GateTestCase):
    """What a refused browser is told, and how its connection ends."""

    def test_the_answer(self) -> None:
        """An error is a whole, framed answer, dated, not to be kept, and the last one."""
        self.connect()
        self.say(head("/nothing"))
        answer = self.answer()
        self.assertEqual((answer.version, answer.code), (b"HTTP/1.1", b"404"))
        self.assertEqual((answer.body, answer.rest), (b"Not Found\n", b""))
        self.assertEqual(answer[b"connection"], b"close")
        self.assertEqual(answer[b"cache-control"], b"no-store")
        self.assertEqual(answer[b"x-content-type-options"], b"nosniff")
        self.assertEqual(answer[b"content-type"], b"text/plain; charset=utf-8")
        self.assertGreater(stringToDatetime(answer[b"date"]), 0)
        self.assertNotIn(b"server", answer)
        self.assertTrue(self.wire.heard_end)
        self.assertEqual((self.door.refusals, self.wire.aborted), ([NOT_FOUND], False))

    def test_headers_of_a_refusal(self) -> None:
        """A refusal's own headers are sent, and its Connection header is the only one."""
        answer = Answer(error_response(BUSY))
        self.assertEqual((answer.code, answer[b"retry-after"]), (b"503", b"5"))
        upgrade = Refused(HTTPStatus.UPGRADE_REQUIRED, "x", ((b"Connection", b"Upgrade, close"),))
        self.assertEqual(Answer(error_response(upgrade))[b"connection"], b"Upgrade, close")

    def test_nothing_is_reflected(self) -> None:
        """Nothing that a stranger sends comes back in an answer."""
        for request in (
            head("/marker"),
            head("/", "Marker: marker", "Content-Length: 6"),
            head("http://marker/x"),
            head("marker"),
            b"marker\n",
            head("/", "Marker marker"),
        ):
            with self.subTest(request):
                self.setUp()
                self.connect()
                self.say(request)
                self.assertIn(b"HTTP/1.1 4", self.wire.taken)
                self.assertNotIn(b"marker", self.wire.taken.lower())

    def test_no_body_for_head(self) -> None:
        """A refused HEAD request gets the headers alone."""
        self.connect()
        self.say(head("/nothing", method="HEAD"))
        answer = Answer(self.wire.taken, to_head=True)
        self.assertEqual((answer.code, answer[b"content-length"]), (b"404", b"10"))
        self.assertEqual(answer.rest, b"")

    def test_rest_of_a_refused_request_is_read(self) -> None:
        """What still comes of a refused request is read and dropped, then the end is said."""
        for request in (b"GET\n", head("/nothing", "Content-Length: 100")):
            self.setUp()
            self.connect()
            self.say(request)
            self.assertEqual((self.wire.reading, self.wire.heard_end), (True, False))
            self.say(b"x" * 100)
            self.say(head("/ws"))
            self.clock.advance(LINGER)
            self.turn()
            self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
            self.assertEqual(self.answer().rest, b"")
            self.assertEqual((len(self.door.refusals), pending(self.clock)), (1, []))

    def test_refusal_that_nobody_takes(self) -> None:
        """A browser that does not take its refusal is cut off."""
        self.wire = Pipe(self.clock, room=10)
        self.connect()
        self.say(head("/nothing"))
        self.clock.advance(STALLED_CLOSE_TIMEOUT - 0.01)
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.01)
        self.turn()
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))


class AdmissionTests(GateTestCase):
    """From an accepted request to the socket's new owner."""

    def setUp(self) -> None:
        super().setUp()
        self.owner = Owner()
        self.admission = Admission(self.owner, b"the handshake\r\n\r\n")

    def knock(self) -> None:
        self.connect()
        self.say(head("/ws"))

    def test_admitted(self) -> None:
        """Once there is a place and a link, the socket is its owner's, from the handshake on."""
        self.knock()
        self.assertEqual(self.owner.received, b"")
        self.door.admissions[0].callback(self.admission)
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\n")
        self.assertIs(self.owner.transport, self.wire)
        self.assertEqual(self.door.log, ["arrived", "handshaken", "left"])
        self.say(b"a frame")
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\na frame")
        self.wire.hears_end()
        self.assertIsNotNone(self.owner.lost)
        self.assertEqual((self.door.log.count("left"), pending(self.clock)), (1, []))

    def test_nothing_is_left_of_the_gate(self) -> None:
        """Once the socket is somebody else's, nobody knows the gate any more."""
        self.knock()
        gone = ref(self.gate)
        gc.disable()
        self.addCleanup(gc.enable)
        self.door.admissions.pop().callback(self.admission)
        self.door.log.clear()
        del self.gate
        self.assertIsNone(gone())
        self.say(b"a frame")
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\na frame")

    def test_admitted_at_once(self) -> None:
        """A place that is free at once is taken at once."""
        self.patch(self.door, "admit", lambda upgrade, gate: succeed(self.admission))
        self.knock()
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\n")

    def test_early_frames(self) -> None:
        """What the browser has said in the meantime follows the handshake."""
        self.connect()
        self.say(head("/ws") + b"one")
        self.say(b"two")
        self.door.admissions[0].callback(self.admission)
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\nonetwo")

    def test_refused(self) -> None:
        """A browser for which there is no backend hears why and when to come back."""
        self.knock()
        self.door.admissions[0].callback(BUSY)
        self.turn()
        answer = self.answer()
        self.assertEqual((answer.code, answer[b"retry-after"]), (b"503", b"5"))
        self.assertTrue(self.wire.heard_end)
        self.assertEqual((self.reasons, pending(self.clock)), (["busy"], []))

    def test_a_bug_is_not_the_browsers_business(self) -> None:
        """If admission fails by a bug, the browser hears 500, and the log the rest."""
        self.knock()
        self.door.admissions[0].errback(Failure(ZeroDivisionError("secret")))
        self.turn()
        self.assertEqual(self.answer().code, b"500")
        self.assertNotIn(b"secret", self.wire.taken)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_browser_leaves(self) -> None:
        """A browser that goes away while it waits takes its dialling with it."""
        self.knock()
        self.wire.hears_end()
        self.assertEqual((self.door.cancelled, self.door.refusals), (1, []))
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))
        self.assertEqual(bytes(self.wire.taken), b"")

    def test_too_much_said(self) -> None:
        """A browser that floods before it is let in is refused, and its dialling ends."""
        self.knock()
        self.say(b"x" * MAX_HEAD)
        self.assertEqual((self.door.cancelled, self.reasons), (0, []))
        self.say(b"x")
        self.assertEqual((self.door.cancelled, self.reasons), (1, ["impatient"]))
        self.assertEqual(self.answer().code, b"400")
        self.clock.advance(LINGER)
        self.turn()
        self.assertTrue(self.wire.heard_end)

    def test_shutdown_leaves_a_browser_on_its_way_in(self) -> None:
        """Closing the gate is not for a browser being admitted: its bridge ends it."""
        self.knock()
        self.gate.close()
        self.turn()
        self.assertFalse(self.wire.heard_end)
        self.door.admissions[0].callback(self.admission)
        self.assertEqual(self.owner.received, b"the handshake\r\n\r\n")

    def test_aborted(self) -> None:
        """A browser that is cut off while it waits takes its dialling with it."""
        self.knock()
        self.gate.abort()
        self.turn()
        self.assertEqual((self.wire.aborted, self.door.cancelled), (True, 1))


class Slow(Resource):
    """A page that answers in pieces, when the test says so."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[SiteRequest] = []

    def render_GET(self, request: SiteRequest) -> int:
        self.requests.append(request)
        request.setHeader(b"content-length", b"%d" % (100 + len(self.requests)))
        request.write(b"x" * 50)
        return NOT_DONE_YET

    def finish(self) -> None:
        self.requests[-1].write(b"x" * (50 + len(self.requests)))
        self.requests[-1].finish()


class PageTests(PageTestCase):
    """Connections that ask for pages, for several, and for a WebSocket after them."""

    def slow_down(self) -> Slow:
        slow = Slow()
        self.door.sites["shop"].resource = slow
        return slow

    def test_a_page(self) -> None:
        """A request for a page is answered, and the connection stays for the next one."""
        self.connect()
        self.say(head())
        answer = self.answer()
        self.assertEqual((answer.code, answer.body), (b"200", b"<h1>shop</h1>"))
        self.say(head())
        self.assertEqual(self.answer().body, b"<h1>shop</h1>")
        self.assertEqual(self.door.log, ["arrived", "handshaken", "page of shop", "handshaken"])
        self.wire.hears_end()
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))

    def test_head_of_a_page(self) -> None:
        """HEAD gets what GET would, without the body."""
        self.connect()
        self.say(head(method="HEAD"))
        answer = Answer(self.wire.taken, to_head=True)
        self.assertEqual((answer.code, answer[b"content-length"]), (b"200", b"13"))
        self.assertEqual(answer.rest, b"")

    def test_refusal_after_head(self) -> None:
        """What is refused after a HEAD has its body, however early it is refused."""
        for bad in (b"GET /\n", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", b"x" * (MAX_HEAD + 1)):
            self.setUp()
            self.connect()
            self.say(head(method="HEAD") + bad)
            refusal = Answer(Answer(self.wire.taken, to_head=True).rest)
            self.assertEqual(len(refusal.body), int(refusal[b"content-length"]))

    def test_pipelined(self) -> None:
        """Requests that come together are answered one after the other, in their order."""
        self.connect()
        self.say(head() + head("/", "If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT") + head())
        self.assertEqual(self.answer().code, b"200")
        self.assertEqual(self.answer().code, b"304")
        self.assertEqual(self.answer().code, b"200")

    def test_next_request_waits_for_the_answer(self) -> None:
        """The next request is not looked at before the answer to this one is out."""
        slow = self.slow_down()
        self.connect()
        self.say(head())
        self.say(head() + head("/nothing"))
        self.assertEqual(len(slow.requests), 1)
        slow.finish()
        self.turn()
        self.assertEqual((len(self.answer().body), len(slow.requests)), (101, 2))
        slow.finish()
        self.turn()
        self.assertEqual(len(self.answer().body), 102)
        self.assertEqual(self.answer().code, b"404")
        self.assertTrue(self.wire.heard_end)

    def test_flood_behind_a_page(self) -> None:
        """Too much said behind a request never lands inside the answer: the end does."""
        slow = self.slow_down()
        self.connect()
        self.say(head())
        before = bytes(self.wire.taken)
        self.say(b"x" * (MAX_HEAD + 1))
        self.assertEqual((self.reasons, bytes(self.wire.taken)), (["impatient"], before))
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))
        self.assertEqual(len(slow.requests), 1)

    def test_last_page(self) -> None:
        """After a request with Connection: close, and its answer, nothing more is read."""
        self.connect()
        self.say(head("/", "Connection: close") + head("/ws"))
        answer = self.answer()
        self.assertEqual((answer[b"connection"], answer.rest), (b"close", b""))
        self.assertEqual((self.wire.heard_end, len(self.door.requests)), (True, 1))
        self.assertEqual((self.door.admissions, pending(self.clock)), ([], []))

    def test_last_page_that_nobody_takes(self) -> None:
        """A browser that does not take its last page to the end is cut off at last."""
        self.wire = Pipe(self.clock, room=10)
        self.connect()
        self.say(head("/", "Connection: close"))
        self.clock.pump([10.0] * 8)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(pending(self.clock), [])

    def test_websocket_after_a_page(self) -> None:
        """A connection that has brought pages may become a WebSocket, and stays one."""
        owner = Owner()
        self.connect()
        self.say(head())
        self.say(head("/ws"))
        self.door.admissions[0].callback(Admission(owner, b"handshake"))
        self.say(b"frame")
        self.assertEqual(owner.received, b"handshakeframe")
        self.clock.pump([10.0] * 10)
        self.turn()
        self.assertEqual((self.wire.heard_end, self.wire.aborted), (False, False))
        self.wire.registerProducer(self.door.sites["shop"], True)  # the pages have given it back
        self.wire.unregisterProducer()
        self.wire.hears_end()
        self.assertIsNotNone(owner.lost)

    def test_page_timeout_spares_a_browser_being_admitted(self) -> None:
        """The time for the next page does not run while a WebSocket is on its way in."""
        self.connect()
        self.say(head())
        self.clock.advance(KEEP_ALIVE - 1)
        self.say(head("/ws"))
        self.clock.pump([2.0, 20.0])
        self.turn()
        self.assertFalse(self.wire.heard_end)
        owner = Owner()
        self.door.admissions[0].callback(Admission(owner, b"handshake"))
        self.assertEqual(owner.received, b"handshake")

    def test_next_request_waits_until_the_answer_is_taken(self) -> None:
        """Answers that nobody takes do not pile up: the next request waits for room."""
        self.wire = Pipe(self.clock, room=0)
        slow = self.slow_down()
        self.connect()
        self.say(head())
        self.say(head("/ws"))
        slow.requests[-1].write(b"x" * 200_000)
        slow.requests[-1].finish()
        self.turn()
        self.assertEqual(self.door.admissions, [])
        self.wire.room = EVERYTHING
        self.say(b"frame")
        owner = Owner()
        self.door.admissions[0].callback(Admission(owner, b"handshake"))
        self.assertEqual(owner.received, b"handshakeframe")

    def test_page_that_nobody_takes(self) -> None:
        """A browser that stops taking its page is cut off, one that takes it slowly is not."""
        self.wire = Pipe(self.clock, room=0)
        slow = self.slow_down()
        self.connect()
        self.say(head())
        slow.requests[-1].write(b"x" * 200_000)
        for _ in range(3):
            self.clock.advance(KEEP_ALIVE - 1)
            self.wire.room = EVERYTHING
            self.turn()
            self.wire.room = 0
            slow.requests[-1].write(b"x" * 200_000)
        self.assertFalse(self.wire.aborted)
        self.clock.pump([KEEP_ALIVE, 20.0])
        self.turn()
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))

    def test_slow_page_is_no_idle_connection(self) -> None:
        """A page that takes long to make is waited for."""
        slow = self.slow_down()
        self.connect()
        self.say(head())
        self.clock.pump([KEEP_ALIVE, KEEP_ALIVE])
        slow.finish()
        self.turn()
        self.assertEqual(len(self.answer().body), 101)

    def test_refused_after_a_page(self) -> None:
        """A refusal on a connection that has brought pages is answered and ends it."""
        self.connect()
        self.say(head())
        self.answer()
        self.say(head("/nothing"))
        self.assertEqual(self.answer().code, b"404")
        self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
        self.assertEqual(pending(self.clock), [])

    def test_other_tenants_page(self) -> None:
        """On one connection each request is answered by the tenant whose host it names."""
        self.connect()
        self.say(head())
        self.say(head(host="other.example"))
        self.say(head())
        self.assertEqual(self.answer().body, b"<h1>shop</h1>")
        self.assertEqual(self.answer().body, b"<h1>other</h1>")
        self.assertEqual(self.answer().body, b"<h1>shop</h1>")
        self.wire.hears_end()
        self.assertEqual(pending(self.clock), [])

    def test_absolute_target(self) -> None:
        """A page is found by an absolute target, too."""
        self.connect()
        self.say(head("http://shop.example/"))
        self.assertEqual(self.answer().body, b"<h1>shop</h1>")

    def test_body_is_refused(self) -> None:
        """A request for a page that has a body is refused: nobody would read it."""
        for header in ("Content-Length: 5", "Transfer-Encoding: chunked"):
            self.setUp()
            self.connect()
            self.say(head("/", header))
            self.assertEqual((self.answer().code, self.reasons), (b"400", ["page_with_body"]))
        self.setUp()
        self.connect()
        self.say(head("/", "Content-Length: 0"))
        self.assertEqual(self.answer().code, b"200")

    def test_idle_connection(self) -> None:
        """A connection that asks for nothing more is closed after a while."""
        self.connect()
        self.say(head())
        self.clock.advance(KEEP_ALIVE - 1)
        self.turn()
        self.assertFalse(self.wire.heard_end)
        self.clock.advance(1)
        self.turn()
        self.assertTrue(self.wire.heard_end)
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))

    def test_half_a_request_is_no_sign_of_life(self) -> None:
        """Sending the next request slowly does not keep the connection any longer."""
        self.connect()
        self.say(head())
        for _ in range(6):
            self.clock.advance(KEEP_ALIVE / 6)
            self.say(b"G")
        self.assertTrue(self.wire.heard_end)

    def test_many_headers(self) -> None:
        """Whatever fits into the limit gets an answer from the site, however odd its headers."""
        self.gate = HttpGate(self.door, 64 * 1024, DEADLINE, self.clock)
        self.connect()
        self.say(
            head("/", *["a:"] * 2000, "Expect: 100-continue", "Range: bytes=\xff", "Cookie: =")
        )
        self.assertEqual(self.answer().body, b"<h1>shop</h1>")

    def test_closed_while_idle(self) -> None:
        """On shutdown a connection that waits for its next request is closed at once."""
        self.connect()
        self.say(head())
        self.gate.close()
        self.turn()
        self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
        self.assertEqual(pending(self.clock), [])

    def test_closed_during_a_page(self) -> None:
        """On shutdown a page under way comes to its end first, and is the last one."""
        slow = self.slow_down()
        self.connect()
        self.say(head() + head())
        self.gate.close()
        self.turn()
        self.assertFalse(self.wire.heard_end)
        slow.finish()
        self.turn()
        self.assertEqual((len(self.answer().body), len(slow.requests)), (101, 1))
        self.assertEqual((self.wire.heard_end, pending(self.clock)), (True, []))

    def test_closed_while_an_answer_is_taken(self) -> None:
        """On shutdown a connection whose answer is still being taken ends right after it."""
        self.wire = Pipe(self.clock, room=0)
        slow = self.slow_down()
        self.connect()
        self.say(head())
        slow.requests[-1].write(b"x" * 200_000)
        slow.requests[-1].finish()
        self.gate.close()
        self.turn()
        self.assertFalse(self.wire.heard_end)
        self.wire.room = EVERYTHING
        self.turn()
        self.assertEqual((self.wire.heard_end, pending(self.clock)), (True, []))

    def test_gone_during_a_page(self) -> None:
        """A browser that leaves in the middle of a page leaves nothing behind."""
        slow = self.slow_down()
        self.connect()
        self.say(head())
        failed = slow.requests[0].notifyFinish()
        self.wire.breaks()
        self.failureResultOf(failed)
        self.assertEqual((self.door.log[-1], pending(self.clock)), ("left", []))


class TLSTests(GateTestCase):
    """What the doorkeeper may ask of a connection over TLS."""

    def test_its_tls(self) -> None:
        """A gate behind TLS knows the handshake that it is behind, a plain one of none."""
        self.connect()
        self.assertIsNone(self.gate.tls_connection)
        certificate = ssl.PrivateCertificate.loadPEM(issue(["shop.example"]).pem)
        self.gate = HttpGate(self.door, MAX_HEAD, DEADLINE, self.clock)
        behind = GateFactory(lambda: self.gate)
        secured = TLSMemoryBIOFactory(certificate.options(), False, behind, self.clock)
        over_tls = secured.buildProtocol(None)
        Pipe(self.clock).connect(over_tls)
        self.assertIs(self.gate.tls_connection, over_tls.getHandle())

    def test_no_tls(self) -> None:
        """What is no TLS, or a handshake that fails, is a refusal with a reason of its own."""
        certificate = ssl.PrivateCertificate.loadPEM(issue(["shop.example"]).pem)
        behind = GateFactory(lambda: self.gate)
        for said in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\xff" * 100):
            self.setUp()
            secured = TLSMemoryBIOFactory(certificate.options(), False, behind, self.clock)
            self.wire.connect(secured.buildProtocol(None))
            self.wire.hears(said)
            self.turn()
            self.assertEqual((self.reasons, self.door.log[-1]), (["tls_handshake"], "left"))
            self.assertEqual(pending(self.clock), [])

    def test_gone_before_tls(self) -> None:
        """Who only leaves before it has said anything is no refusal."""
        certificate = ssl.PrivateCertificate.loadPEM(issue(["shop.example"]).pem)
        behind = GateFactory(lambda: self.gate)
        for leave in (Pipe.hears_end, Pipe.breaks):
            self.setUp()
            secured = TLSMemoryBIOFactory(certificate.options(), False, behind, self.clock)
            self.wire.connect(secured.buildProtocol(None))
            leave(self.wire)
            self.turn()
            self.assertEqual((self.reasons, self.door.log[-1]), ([], "left"))

    def test_no_handshake_in_time(self) -> None:
        """A TLS handshake that does not come is cut off at the deadline."""
        certificate = ssl.PrivateCertificate.loadPEM(issue(["shop.example"]).pem)
        behind = GateFactory(lambda: self.gate)
        secured = TLSMemoryBIOFactory(certificate.options(), False, behind, self.clock)
        self.wire.connect(secured.buildProtocol(None))
        self.clock.advance(DEADLINE)
        self.turn()
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.reasons, self.door.log[-1]), (["handshake_timeout"], "left"))
        self.assertEqual(pending(self.clock), [])


class FactoryTests(GateTestCase):
    """Listeners."""

    def test_a_gate_for_each_connection(self) -> None:
        """Every connection gets a gate of its own."""
        gates = [HttpGate(self.door, MAX_HEAD, DEADLINE, self.clock) for _ in range(2)]
        factory = GateFactory(iter(gates).__next__)
        self.assertEqual([factory.buildProtocol(None) for _ in range(2)], gates)
