"""The libraries of the extra ``demo``: without them the engine runs, and draws and prints less."""

from importlib.util import find_spec

from orion_twisted.demo.documents import EngineError

INSTALL = 'pip install "orion-twisted[demo]"'
_LIBRARIES = {"PIL": "Pillow", "reportlab": "reportlab", "segno": "segno"}


class LibraryMissing(EngineError):
    """
    A library is not installed; the text says which, for what, and how to get it.

    Args:
        what: what cannot be done without it.
        library: its name.
    """

    def __init__(self, what: str, library: str) -> None:
        super().__init__(f"{what} need the library {library}: {INSTALL}")


def missing_libraries() -> list[str]:
    """Return the names of those libraries that are not installed."""
    return [name for module, name in _LIBRARIES.items() if find_spec(module) is None]
