"""Images of the tests, as small as they come."""

from io import BytesIO
from typing import Any

import PIL.Image


def picture(kind: str = "PNG", width: int = 40, height: int = 20, **options: Any) -> bytes:
    """Return an image file of one colour."""
    written = BytesIO()
    mode = "RGB" if kind == "JPEG" else "RGBA"
    PIL.Image.new(mode, (width, height), "#2f5fd080"[: 7 if mode == "RGB" else 9]).save(
        written, kind, **options
    )
    return written.getvalue()


def noise(size: int) -> bytes:
    """Return a PNG of so many bytes: what follows its end belongs to nobody."""
    small = picture()
    return small + bytes(size - len(small))
