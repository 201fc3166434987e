"""
Session mode against faults: the instruments, and what they prove of the real process.

    browsers ──> proxies that cut ──> twistd orion-bridge ──> proxies that cut ──> engines
       │                │                                          │                  │
       └── books        └── troubles          audit <──────────────┴─────── ledger ───┘

Nothing here shares code with the gateway. The pieces, from the bottom up:

`orders`     What a message asks of the engine ("delay:120", "twice", "drop"), and the answer: the
             payloads of all these tests. Each has an id that is its own in the whole run.
`speech`     The backend dialects ``orion.v1`` and ``orion.v2``, as an engine speaks them.
`wires`      A socket of an engine: framed TCP or WebSocket. It counts what the system has taken,
             and breaks in every way: half a frame, a huge one announced, crumbs, a reset.
`engine`     The engine: links on which it does what messages and commands ask for, and a ledger of
             all that it got and wrote. `process` runs it as a process that can be killed.
`proxy`      A TCP proxy that cuts, resets, half-closes, stalls or falls silent at a given byte.
`browsers`   The two dialects, one session each, over sockets that come and go; each with its
             book (`books`): what it handed over, what came of it, and every broken rule it saw.
`schedule`   The faults of a run, drawn from its seed: the same seed gives the same faults.
`audit`      Compares books and ledgers: what must never be, found by name.
`soak`       All of it together, against the real process: ``make soak``; a short form is among the
             tests. What a fault hits depends on the moment; which faults come, and when, does not.

The instruments are tested by themselves (`test_instruments`, `test_audit`): an audit that finds
nothing has to be able to find something.
"""
