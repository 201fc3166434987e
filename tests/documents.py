"""
The documentation, taken apart: code blocks and tables with their marks, links, commands.

A mark is an HTML comment on the line before a block: ``<!-- run: KIND -->`` says how a test
carries the block out, ``<!-- shown only: REASON -->`` that none does, and ``<!-- vector: … -->``
that it is a test vector (`tests.vectors`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

CHECKOUT = Path(__file__).resolve().parents[1]

_MARK = re.compile(r"<!-- (?P<word>run|shown only|vector): (?P<rest>.+?) -->")
_FENCE = re.compile(r"```(?P<language>\w*)")
_HEADING = re.compile(r"#{1,6} (?P<text>.+)")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@frozen
class Block:
    """
    A fenced block, or a table.

    Attributes:
        page: path of the page from the checkout, such as ``docs/operate.md``.
        line: number of its first line, for messages.
        language: what stands behind the fence; ``table`` for a table.
        text: the lines inside, each with its line end.
        kind: of its mark ``run: KIND``; ``vector`` for a test vector; or None.
        is_shown_only: whether its mark says so.
    """

    page: str
    line: int
    language: str
    text: str = field(repr=False)
    kind: str | None
    is_shown_only: bool

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, without its head."""
        return [
            [cell.strip() for cell in _CELL_BORDER.split(line)[1:-1]]
            for line in self.text.splitlines()[2:]
        ]


def _kind(mark: re.Match[str] | None) -> str | None:
    if mark is None or mark["word"] == "shown only":
        return None
    return mark["rest"] if mark["word"] == "run" else "vector"


@frozen
class Page:
    """One Markdown page; ``name`` is its path from the checkout."""

    name: str
    text: str = field(repr=False)

    @property
    def blocks(self) -> list[Block]:
        """
        Return the fenced blocks and the tables, in their order.

        Raises:
            ValueError: a mark stands before neither, or a fence is not closed.
        """
        return list(self._blocks())

    def _blocks(self) -> Iterator[Block]:
        lines = self.text.splitlines(keepends=True)
        at = 0
        while at < len(lines):
            mark = _MARK.fullmatch(lines[at].strip())
            begin = at + 1 if mark else at
            end = begin
            if begin < len(lines) and (fence := _FENCE.fullmatch(lines[begin].strip())):
                language, begin = fence["language"], begin + 1
                end = begin
                while end < len(lines) and lines[end].strip() != "```":
                    end += 1
                if end == len(lines):
                    raise ValueError(f"{self.name}:{begin}: this fence is never closed")
                at = end + 1
            elif begin < len(lines) and lines[begin].startswith("|"):
                language = "table"
                while end < len(lines) and lines[end].startswith("|"):
                    end += 1
                at = end
            elif mark:
                raise ValueError(f"{self.name}:{begin}: a mark before neither block nor table")
            else:
                at += 1
                continue
            yield Block(
                self.name,
                begin + 1,
                language,
                "".join(lines[begin:end]),
                _kind(mark),
                mark is not None and mark["word"] == "shown only",
            )

    @property
    def prose(self) -> str:
        """The text without fenced blocks and their marks; inline code is in it."""
        return re.sub(r"(?ms)^```.*?^```$|<!--.*?-->", "", self.text)

    @property
    def code(self) -> list[str]:
        """Inline code, and lines that are indented as code."""
        lines = self.prose.splitlines()
        indented = [line.strip() for line in lines if line.startswith("    ")]
        return [*indented, *(code.replace("\n", " ") for code in _CODE.findall(self.prose))]

    @property
    def links(self) -> list[str]:
        """Targets of links and images."""
        return [match["target"] for match in _LINK.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """What its headings are called in links, as GitHub does it."""
        headings = (_HEADING.fullmatch(line) for line in self.prose.splitlines())
        return {
            re.sub(r"[^\w\- ]", "", heading["text"].lower()).replace(" ", "-")
            for heading in headings
            if heading
        }

    def section(self, heading: str) -> str:
        """
        Return what stands under a heading, up to the next one.

        Raises:
            LookupError: there is no such heading.
        """
        found = re.search(rf"(?ms)^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", self.text)
        if found is None:
            raise LookupError(f"{self.name} has no heading {heading!r}")
        return found[1]

    def table(self, heading: str) -> list[list[str]]:
        """
        Return the rows of the one table under a heading.

        Raises:
            LookupError: there is no such heading, or not one table under it.
        """
        blocks = Page(self.name, self.section(heading)).blocks
        tables = [block for block in blocks if block.language == "table"]
        if len(tables) != 1:
            raise LookupError(f"{self.name} has {len(tables)} tables under {heading!r}")
        return tables[0].rows


def code_in(cell: str) -> list[str]:
    """Return the inline code of a table's cell."""
    return _CODE.findall(cell)


def read_page(name: str) -> Page:
    """Return the page at a path from the checkout."""
    return Page(name, (CHECKOUT / name).read_text(encoding="utf-8"))


def all_pages() -> list[Page]:
    """Return README.md and all of docs/."""
    names = sorted(path.name for path in (CHECKOUT / "docs").glob("*.md"))
    return [read_page("README.md"), *(read_page(f"docs/{name}") for name in names)]
