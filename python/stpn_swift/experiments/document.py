"""A page of headings, paragraphs, tables and figures, as Markdown and as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

STYLE = """\
body { max-width: 60em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; }
th, td { padding: 0.2em 0.8em; border-bottom: 1px solid #ccc; text-align: right; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; }
"""


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Table:
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Figure:
    path: str
    """Relative to the page."""
    caption: str


Part = Heading | Paragraph | Table | Figure


def markdown(parts: Sequence[Part]) -> str:
    return "\n".join(_markdown(part) for part in parts)


def _markdown(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"{'#' * level} {_literal(text)}\n"
        case Paragraph(text):
            return f"{_literal(text)}\n"
        case Figure(path, caption):
            return f"![{_literal(caption)}]({path})\n\n{_literal(caption)}\n"
        case Table(columns, rows):
            alignment = ["---", *["---:"] * (len(columns) - 1)]
            cells = [[_literal(cell) for cell in row] for row in (columns, *rows)]
            return "".join(f"| {' | '.join(line)} |\n" for line in (cells[0], alignment, *cells[1:]))


def _literal(text: str) -> str:
    """Text, in which names of folders may have any character, as one line of Markdown that shows it."""
    line = re.sub(r"[\\`*\[\]<>&|~$]", r"\\\g<0>", " ".join(text.splitlines()))
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", line)


def html(title: str, parts: Sequence[Part]) -> str:
    head = f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
    return f"{head}<style>\n{STYLE}</style>\n" + "\n".join(_html(part) for part in parts) + "\n</html>\n"


def _html(part: Part) -> str:
    match part:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Figure(path, caption):
            image = f'<img src="{escape(path)}" alt="{escape(caption)}">'
            return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
        case Table(columns, rows):
            head = "".join(f"<th>{escape(column)}</th>" for column in columns)
            body = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
            return f"<table>\n<tr>{head}</tr>\n{''.join(body)}</table>"
