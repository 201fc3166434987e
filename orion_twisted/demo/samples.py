"""
The document that an empty database starts with, so that there is something to look at.
"""

from orion_twisted.demo.documents import Document, Line, Page, Placeable, Rectangle, Text

_ROWS = (
    ("1", "Report engine, server licence", "2", "480.00"),
    ("2", "Web Editor, one shop", "1", "320.00"),
    ("3", "Installation and training", "1", "150.00"),
    ("4", "Support, twelve months", "1", "240.00"),
)
_INK, _QUIET, _ACCENT = "#1f2933", "#616e7c", "#2563eb"
_COLUMNS = (64, 104, 384, 451)


def sample() -> Document:
    """Return a delivery note of one A4 page."""
    objects: list[Placeable] = []

    def text(x: float, y: float, width: float, value: str, **style: object) -> None:
        placed = {"x": x, "y": y, "width": width, "height": 24.0, "text": value, "size": 11.0}
        objects.append(Text(id=f"t{len(objects) + 1}", **(placed | style)))  # type: ignore[arg-type]

    def box(x: float, y: float, width: float, height: float, fill: str) -> None:
        number = len(objects) + 1
        objects.append(
            Rectangle(
                id=f"r{number}", x=x, y=y, width=width, height=height, fill=fill, stroke="none"
            )
        )

    def rule(y: float) -> None:
        number = len(objects) + 1
        objects.append(
            Line(id=f"l{number}", x=56.0, y=y, width=483.0, stroke="#cbd2d9", line_width=0.75)
        )

    box(0, 0, 595, 8, _ACCENT)
    text(56, 56, 320, "Delivery note", size=30.0, weight="bold", height=40.0, color=_INK)
    text(56, 98, 320, "No. 2041 · made with the demo Orion engine", color=_QUIET)
    text(
        379, 58, 160, "Orion Report Software\n1 Harbour Road\nSpringfield",
        align="right", height=60.0, color=_QUIET,
    )  # fmt: skip
    text(56, 150, 240, "Deliver to", size=9.0, weight="bold", color=_ACCENT)
    text(56, 166, 240, "Example Shop Ltd.\n12 Market Street\nShelbyville", height=60.0)
    box(56, 250, 483, 26, "#eff4ff")
    for x, label, align in zip(
        _COLUMNS, ("#", "Item", "Pieces", "Price"), ("left", "left", "right", "right"),
        strict=True,
    ):  # fmt: skip
        width = 270 if label == "Item" else 24 if label == "#" else 80
        left = x - 24 if label == "Pieces" else x
        text(left, 256, width, label, size=10.0, weight="bold", align=align, height=16.0)
    y = 286.0
    for row in _ROWS:
        for column, (x, value) in enumerate(zip(_COLUMNS, row, strict=True)):
            width = (24, 270, 80, 80)[column]
            left = x - 24 if column == 2 else x
            text(left, y, width, value, align="right" if column > 1 else "left", height=16.0)
        rule(y + 22)
        y += 32
    text(300, y + 8, 231, "Total  1,670.00", size=14.0, weight="bold", align="right")
    text(
        56, y + 90, 483,
        "Drag an object with the mouse, or choose it in the list and move it with the arrow "
        "keys. Every change goes through the gateway as one message, and the page you see is "
        "drawn from the engine's answer.",
        height=60.0, color=_QUIET,
    )  # fmt: skip
    return Document("Delivery note 2041", (Page(objects=tuple(objects)),), len(objects))
