"""
Session mode against faults: the instruments, and what they prove of the real process.

    browsers ──> proxies that cut ──> twistd orion-bridge ──> proxies that cut ──> engines
       │                │                                          │                  │
       └── books        └── troubles          audit <──────────────┴─────── ledger ───┘

Nothing here shares code with the gateway. The pieces, from the bottom up:

`orders`     What a message asks of the engine (answer, delay, twice, drop, ...), and the answer:
             the payloads of all these tests. Each has an id that is its own in the whole run.
`speech`     The backend dialects ``orion.v1`` and ``orion.v2``, as an engine speaks them.
`wires`      A socket of an engine: framed TCP or WebSocket. It counts what the system has taken,
             and breaks in every way: half a frame, a huge one announced, crumbs, a reset.
`engine`     The engine: links on which it does what messages ask for, and a ledger of all that it
             got and wrote. `places` has it listen or dial in, and obey commands from outside;
             `process` runs it as a process that can be killed.
`proxy`      A TCP proxy that cuts, resets, half-closes or stalls at a given byte.
`browsers`   The dialects (`browser_v1`, `browser_v2`), over sockets that come and go (`doors`);
             each with its book (`books`): what it handed over, what came of it, and every broken
             rule that it saw.
`evidence`   Books, ledgers and the proxies' troubles, put together: what was sure to arrive?
`audit`      What must not be, found by name in the evidence.
`story`      What happened around that, as far as anybody has noted it.
`schedule`   The faults of a run, drawn from its seed: the same seed gives the same faults.
`wishes`     What its browsers hand over, drawn from it, too.
`stage`      A gateway in one of several shapes, with engines and proxies around it; `watch` looks
             at its process and its metrics, `pulse` whether anything stood still.
`soak`       All of it together: ``make soak``; a short form is `test_soak`. What a fault meets
             depends on the moment; which faults come, and when, does not.
`table`      Another stage, for one fault at a time: a gateway for each class of tests.

The instruments are tested by themselves (`test_instruments`, `test_engine`, `test_browsers`,
`test_audit`): an audit that finds nothing has to be able to find something.
"""
