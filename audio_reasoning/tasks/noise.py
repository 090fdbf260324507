r"""What stands in or around an answer without being a part of it, and how to take it away.

What nobody sees is never meant: it goes from outputs and from choices. What is seen but only dresses a
text (LaTeX, Markdown, a model's special tokens) goes from outputs, unless a choice of the question uses such a mark.
"""

import re
from collections.abc import Callable, Sequence

# Unicode's Default_Ignorable_Code_Point (zero-width characters, soft hyphen, direction marks, variation selectors,
# BOM, tags, fillers), and control characters that are no white space.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
SPACES = {
    ord(space): " " for space in "\u00a0\u1680\u202f\u205f\u2800\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
}
LINE_ENDS = {0x2028: "\n", 0x2029: "\n"}

# Of Qwen, Llama, GPT, Phi, DeepSeek, Gemma and Mistral. "<s>" only as the first thing: later on it strikes words out.
SPECIAL = re.compile(
    r"<[|｜][^|｜<>\n]{1,40}[|｜]>|\A\s*<s>|</s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]|<</?SYS>>"
)
SPECIAL_RUN = re.compile(f"(?:{SPECIAL.pattern})+")
BLOCK_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]+)+|^[ \t]*>$", re.MULTILINE)
WRAPPER = re.compile(
    r"\\(?:boxed|fbox|mbox|text|text(?:bf|it|rm|sf|tt)|emph|underline|math(?:bf|rm|it|sf|tt)|boldsymbol|bm"
    r"|operatorname)\s*\{([^{}]*)\}"
)
DISPLAY = re.compile(r"\$\$([^$]*)\$\$")
INLINE = re.compile(r"(?<![\\$])(?<![^\W_])\$(?=[^\s$])([^$\n]*[^\s$\\])\$(?!\$|[^\W_])")  # "$5 or $6" are prices
EMPHASIS = re.compile(r"(?<![\w*_`\\])(\*{1,3}|_{1,3}|`{1,3})(?=[^\s*_`])([^*_`\n]*[^\s*_`])\1(?![\w*_`])")
OPENING_MARKS, CLOSING_MARKS = "\"'([{【「『", "\"')]}】」』"
LAYERS = 6  # of LaTeX commands within each other


def visible(text: str) -> str:
    r"""The text without what nobody sees, and with plain spaces.

    >>> visible("a\u200b\u00a0dog\ufe0f")
    'a dog'
    """
    return INVISIBLE.sub("", text.translate(SPACES | LINE_ENDS))


def undressed(text: str, choices: Sequence[str]) -> str:
    r"""The text without LaTeX's wrappers, emphasis, block quotes and special tokens; a mark that a choice has stays.

    >>> undressed(r"**ANSWER:** $\boxed{\text{a \textbf{big} dog}}$<|im_end|>", ["a big dog"])
    'ANSWER: a big dog '
    >>> undressed("> ANSWER: $5$", ["$5", "$6"])
    'ANSWER: $5$'
    """
    for mark, undress in DRESSES:
        if not any(mark.search(choice) for choice in choices):
            text = undress(text)
    return text


def turn_end(text: str, start: int, choices: Sequence[str]) -> re.Match[str] | None:
    """The first special tokens that follow something said after `start`, if there are any and no choice has any.

    A model that goes on after its end token invents the next turns.
    """
    if any(SPECIAL.search(choice) for choice in choices):
        return None
    for token in SPECIAL_RUN.finditer(text, start):
        if text[start : token.start()].strip("*_` \t\r\n"):
            return token
        start = token.end()
    return None


def but_for_unpaired(said: str, known: list[str]) -> list[int]:
    """The choices that `said` is but for quotes and brackets at the ends, which models and tools lose or add.

    None if a choice itself ends in a mark without its pair: 7' is a length, and cis' another note than cis.
    """
    bare = _without_edges(said)
    if len(bare) < 2 or any(_dangling(choice) for choice in known):
        return []
    return [i for i, choice in enumerate(known) if _without_edges(choice) == bare]


def _without_edges(text: str) -> str:
    """The text without marks at its ends, where letters are beside them: (5 and 5" may be an interval and inches."""
    inner = text.rstrip(CLOSING_MARKS + ". ")
    if inner and (inner[-1].isalpha() or inner[-1] in "!?…"):
        text = inner
    inner = text.lstrip(OPENING_MARKS + " ")
    return inner if inner[:1].isalpha() else text


def _dangling(choice: str) -> bool:
    first, last = choice[:1], choice[-1:]
    pairs = dict(zip(CLOSING_MARKS, OPENING_MARKS, strict=True))
    if last in pairs and not re.search(rf"(?<!\w){re.escape(pairs[last])}(?=\w)", choice):
        return bool(last in "\"'" or pairs[last] not in choice)
    if first in OPENING_MARKS and first:
        closing = CLOSING_MARKS[OPENING_MARKS.index(first)]
        return not re.search(rf"(?<=[\w.!?…]){re.escape(closing)}(?!\w)", choice)
    return False


def _unwrapped(text: str) -> str:
    for _ in range(LAYERS):
        text, count = WRAPPER.subn(r"\1", text)
        if not count:
            break
    text = re.sub(r"\\[()\[\]]", "", text)
    return re.sub(r"\\([%&#_$])", r"\1", re.sub(r"\\[ ,;:!]", " ", text))


def _unpriced(text: str) -> str:
    return INLINE.sub(r"\1", DISPLAY.sub(r"\1", text))


DRESSES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (SPECIAL, lambda text: SPECIAL.sub(" ", text)),
    (re.compile(r"^\s*>", re.MULTILINE), lambda text: BLOCK_QUOTE.sub("", text)),
    (re.compile(r"\\"), _unwrapped),
    (re.compile(r"\$"), _unpriced),
    (re.compile(r"[*_`]"), lambda text: EMPHASIS.sub(r"\2", text)),
)
