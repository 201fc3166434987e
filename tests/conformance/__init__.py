"""
An RFC 6455 conformance suite: raw octets in, strictly parsed frames out.

``wire`` talks, ``case`` says what a case is, ``cases`` and its neighbours hold the tables,
``judge`` runs a case and gives its verdict. ``python -m tests.conformance URL`` runs the tables
against any echo server; ``test_conformance`` runs them against our own gateway.
"""
