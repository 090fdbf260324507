"""Second thoughts and repetitions in thinking: pure, over words alone.

A model that loops repeats itself until its tokens end, which is what most truncated thinking is. How often it takes
something back ("Wait", "Actually", "Hmm") tells how much of its thinking is second thoughts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# A word, apostrophes included; where words are not spaced (Chinese, Japanese, Thai), a character.
UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+(?:['’][^\W_{UNSPACED}]+)*")
SECOND_THOUGHTS = ("wait", "actually", "hmm")


@dataclass(frozen=True)
class Repetition:
    """The run of words that a text repeats most, and how often it occurs, never overlapping itself."""

    words: tuple[str, ...]
    times: int


def words_of(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words_of("Wait, it's TWO... 鸟叫")
    ['wait', "it's", 'two', '鸟', '叫']
    """
    return WORD.findall(text.casefold())


def second_thoughts(words: Sequence[str]) -> Counter[str]:
    """How often each word of SECOND_THOUGHTS occurs; "hmmm" counts as "hmm".

    >>> second_thoughts(words_of("Hmmm. Wait, wait!"))
    Counter({'wait': 2, 'hmm': 1})
    """
    counted = Counter("hmm" if re.fullmatch("h+m+", word) else word for word in words)
    return Counter({word: counted[word] for word in SECOND_THOUGHTS if counted[word]})


def most_repeated(words: Sequence[str], ngram: int) -> Repetition:
    """The run of `ngram` words that occurs most often, the first of equals; of fewer words, none occurs.

    Occurrences that overlap count once, so "no no no no" holds "no no" twice.

    >>> most_repeated("so it is so it is so it was".split(), 3)
    Repetition(words=('so', 'it', 'is'), times=2)
    """
    times: Counter[tuple[str, ...]] = Counter()
    free_from: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - ngram + 1):
        run = tuple(words[start : start + ngram])
        if start >= free_from.get(run, 0):
            times[run] += 1
            free_from[run] = start + ngram
    return Repetition(*times.most_common(1)[0]) if times else Repetition((), 0)
