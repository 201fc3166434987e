"""
Coverage-guided fuzzing of all that reads what strangers send: `make fuzz`.

A target is a module with a function ``check``, which takes any bytes at all and raises for a bug,
and with ``SEEDS``, some inputs to begin with. Most targets compare what the package makes of the
bytes with a second opinion: a naive reading of the same rules, written for clarity alone.
"""

TARGETS = (
    "heads",
    "gate",
    "conditions",
    "websockets",
    "wsframes",
    "framings",
    "messages",
    "members",
    "dialects",
    "answers",
    "proxy_headers",
    "client_hellos",
    "names",
    "origins",
    "tokens",
    "key_files",
    "certificates",
    "engine",
)
