"""The documents that an empty database starts with, so that there is something to look at."""

from orion_twisted.demo.documents import (
    Barcode,
    Document,
    Line,
    Page,
    Placeable,
    QRCode,
    Rectangle,
    Table,
    Text,
)

_ROWS = (
    ("1", "Report engine, server licence", "2", "480.00"),
    ("2", "Web Editor, one shop", "1", "320.00"),
    ("3", "Installation and training", "1", "150.00"),
    ("4", "Support, twelve months", "1", "240.00"),
)
_DATA = (
    ("number", "name", "street", "city"),
    (
        ("2041", "Example Shop Ltd.", "12 Market Street", "Shelbyville"),
        ("2042", "예제 상점", "시장길 12", "서울"),
        ("2043", "Beispielladen GmbH", "Marktstraße 12", "Köln"),
    ),
)
_GUESTS = (("guest", "code"), (("Seo-yeon", "K7Q2"), ("도윤", "M3X9"), ("Anna", "T5R8")))
_INK, _QUIET, _ACCENT = "#1f2933", "#616e7c", "#2563eb"
_COLUMNS = (64, 104, 384, 451)


def samples() -> tuple[Document, ...]:
    """Return all of them; the last one is what somebody sees who opens the editor first."""
    return sample(), invitation()


def invitation() -> Document:
    """Return what the demo's shop sells: a card of A5, one for each guest."""
    ink, quiet, rose, light = "#3c322c", "#75665c", "#c98b8b", "#ecd3cd"
    objects: list[Placeable] = []

    def text(y: float, size: float, value: str, **style: object) -> None:
        placed = {"x": 45.0, "y": y, "width": 330.0, "height": size * 1.3, "text": value}
        looks = {"font": "serif", "size": size, "color": ink, "align": "center"}
        objects.append(Text(id=f"t{len(objects) + 1}", **(placed | looks | style)))  # type: ignore[arg-type]

    def line(x: float, y: float, width: float, height: float, stroke: str) -> None:
        objects.append(
            Line(
                id=f"l{len(objects) + 1}", x=x, y=y, width=width, height=height,
                stroke=stroke, line_width=0.75,
            )
        )  # fmt: skip

    def frame(margin: float, stroke: str) -> None:
        # Four lines: a rectangle would be in the way of whoever points at what is in it.
        width, height = 420 - 2 * margin, 595 - 2 * margin
        for along in (margin, margin + height):
            line(margin, along, width, 0, stroke)
        for along in (margin, margin + width):
            line(along, margin, 0, height, stroke)

    def diamond(x: float, y: float, size: float, fill: str) -> None:
        objects.append(
            Rectangle(
                id=f"r{len(objects) + 1}", x=x - size / 2, y=y - size / 2, width=size,
                height=size, rotation=45.0, fill=fill, stroke="none",
            )
        )  # fmt: skip

    def rule(y: float) -> None:
        for x in (120.0, 240.0):
            line(x, y, 60, 0, rose)
        diamond(210, y, 9, rose)
        for x in (194.0, 226.0):
            diamond(x, y, 5, light)

    frame(18, rose)
    frame(24, light)
    rule(76)
    text(112, 14, "together with their families", italic=True, color=quiet)
    text(150, 44, "Ji-woo")
    text(212, 20, "and", italic=True)
    text(242, 44, "Min-jun")
    rule(322)
    text(346, 14, "ask you, {{guest}}, to their wedding", italic=True, color=quiet)
    text(378, 17, "12 September, 2 pm")
    text(404, 12, "The Garden House, 4 Harbour Road, Springfield", color=quiet)
    objects.append(
        QRCode(
            id="answer", x=174.0, y=444.0, width=72.0, height=72.0, color=ink,
            text="https://shop.example/answers/{{code}}",
        )
    )  # fmt: skip
    text(528, 10, "Please answer by 1 August", italic=True, color=quiet)
    page = Page("p1", width=420.0, height=595.0, objects=tuple(objects))
    return Document("Wedding invitation", (page,), Table(*_GUESTS))


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
            Line(
                id=f"l{number}",
                x=56.0,
                y=y,
                width=483.0,
                height=0.0,
                stroke="#cbd2d9",
                line_width=0.75,
            )
        )

    box(0, 0, 595, 8, _ACCENT)
    text(56, 56, 320, "Delivery note", size=30.0, weight="bold", height=40.0, color=_INK)
    text(56, 98, 320, "No. {{number}} · made with the demo Orion engine", color=_QUIET)
    text(
        379, 58, 160, "Orion Report Software\n1 Harbour Road\nSpringfield",
        align="right", height=60.0, color=_QUIET,
    )  # fmt: skip
    text(56, 150, 240, "Deliver to", size=9.0, weight="bold", color=_ACCENT)
    text(56, 166, 240, "{{name}}\n{{street}}\n{{city}}", height=60.0)
    objects.append(
        Barcode(id="number", x=379.0, y=150.0, width=160.0, height=56.0, text="ON-{{number}}")
    )
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
        56, y + 70, 380,
        "Every change goes through the gateway as one message, is done by the engine, and reaches "
        "everybody who has the document open. Print it, and there is one page for each row of the "
        "data, with its cells in place of the names in braces.",
        height=60.0, color=_QUIET,
    )  # fmt: skip
    objects.append(
        QRCode(
            id="order", x=459.0, y=y + 60, width=80.0, height=80.0,
            text="https://shop.example/orders/{{number}}",
        )
    )  # fmt: skip
    return Document("Delivery note", (Page("p1", objects=tuple(objects)),), Table(*_DATA))
