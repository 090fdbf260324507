"""Texts that somebody else wrote, a model or the author of a question, so that a page shows and never obeys them."""

import re

SHOWN_CHARS = 160


def printable(text: str) -> str:
    r"""A text on one line, without what a terminal or a page would obey instead of showing it.

    >>> printable("a\n\tb\u202e\ud800c")
    'a b c'
    """
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def shortened(text: str, *, keep_end: bool = False) -> str:
    """A text on one line, its start (or end) of at most SHOWN_CHARS characters."""
    text = printable(text)
    if len(text) <= SHOWN_CHARS:
        return text
    return "…" + text[1 - SHOWN_CHARS :] if keep_end else text[: SHOWN_CHARS - 1] + "…"


def code_span(text: str) -> str:
    r"""Any text as a cell of a Markdown table that shows it to the letter and obeys nothing in it.

    >>> code_span("<b> a|b"), code_span("a `tick`"), code_span("")
    ('`<b> a\\|b`', '`` a `tick` ``', '')
    """
    text = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|") if text else ""


def plain_text(text: str) -> str:
    r"""Any text as Markdown prose, in a table too, that shows it to the letter.

    >>> print(plain_text("mix_sound <b>*x*</b>"))
    mix_sound \<b\>\*x\*\</b\>
    """
    return re.sub(r"([\\`*{}\[\]<>#|~&!]|(?<![^\W_])_|_(?![^\W_]))", r"\\\1", printable(text))
