"""The libraries of the extra ``demo``: without them the engine runs, and draws and prints less."""

from orion_twisted.demo.documents import EngineError

INSTALL = 'pip install "orion-twisted[demo]"'


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
    """
    Import the libraries, so that no request has to wait for that.

    Returns:
        The names of those that are not installed.
    """
    missing = []
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        missing.append("Pillow")
    try:
        import reportlab.graphics.barcode
        import reportlab.pdfgen.canvas  # noqa: F401
    except ImportError:
        missing.append("reportlab")
    try:
        import segno  # noqa: F401
    except ImportError:
        missing.append("segno")
    return missing
