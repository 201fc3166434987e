"""What went wrong, in a person's words: complaints of the JSON library, and near misses."""

import difflib
import re
from collections.abc import Iterable

MAX_COMPLAINT = 400
"""Characters of an error message: it may quote what the client sent."""

_PATH = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_ID = "must start with a letter, then letters, digits, - and _, 32 characters at most"
# What a regular expression means, in words; by the last part of the path.
_FORMS = {
    "color": 'must be a colour like "#1f6feb"',
    "fill": 'must be a colour like "#1f6feb", or "none"',
    "stroke": 'must be a colour like "#1f6feb"',
    "asset": "must be the id of an uploaded image",
    "id": _ID,
    "page": _ID,
}


def in_words(complaint: str, kinds: Iterable[str] = ()) -> str:
    """
    Turn msgspec's "... - at `$.object.x`" into "object.x: ...".

    Args:
        complaint: its message.
        kinds: the values that a ``kind`` may have.
    """
    found = _PATH.match(complaint)
    what, path = (found["what"], found["path"]) if found else (complaint, "")
    last = path.rpartition(".")[2]
    if "matching regex" in what:
        what = _FORMS.get(last, what)
    elif last == "kind" and what.startswith("Invalid value"):
        what = f"must be one of {', '.join(kinds)}"
    what = what.replace("Object missing required field", "misses").replace(
        "Object contains unknown field", "has no field"
    )
    what = what[:1].lower() + what[1:]
    return f"{path}: {what}" if path else what


def near(complaint: str, given: str, known: Iterable[str]) -> str:
    """Add to a complaint about a name what may have been meant, or what there is."""
    names = list(known)
    close = difflib.get_close_matches(given[:40].lower(), names, 1)
    if close:
        return f"{complaint}; did you mean {close[0]!r}?"
    return f"{complaint}; there are {', '.join(names)}" if names else complaint


def sayable(complaint: str) -> str:
    """Return a complaint as it may be sent: bounded, and without half a surrogate pair."""
    return complaint[:MAX_COMPLAINT].encode("utf-8", "replace").decode("utf-8")
