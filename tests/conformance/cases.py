"""
All cases, numbered like the sections of the well-known Autobahn suite; all are our own.

8 (masking and lengths) and 14 (opening handshake) are numbers which that suite does not use.
"""

from tests.conformance.bulk import large_messages, limits
from tests.conformance.case import Case
from tests.conformance.closing import closing
from tests.conformance.encoding import encoding
from tests.conformance.framing import (
    auto_fragmentation,
    fragmentation,
    framing,
    masking_and_lengths,
    pings,
    reserved_bit_of_deflate,
    reserved_bits,
    reserved_opcodes,
)
from tests.conformance.handshakes import HANDSHAKE_CASES, HandshakeCase

CASES: list[Case | HandshakeCase] = [
    *framing(),
    *pings(),
    *reserved_bits(),
    *reserved_opcodes(),
    *fragmentation(),
    *encoding(),
    *closing(),
    *masking_and_lengths(),
    *limits(),
    *auto_fragmentation(),
    *reserved_bit_of_deflate(),
    *HANDSHAKE_CASES,
]
LARGE_CASES: list[Case] = list(large_messages())
