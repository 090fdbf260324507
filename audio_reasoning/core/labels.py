"""The names of categories, sub-categories and modalities, under which questions are counted."""

import functools
import re
import unicodedata
from collections.abc import Iterable

from audio_reasoning.core.errors import UserError


def slug(name: str) -> str:
    """A category's name as a metric's key: lower snake case, without the word "layer".

    >>> slug("Perception Layer"), slug("mix-sound-speech"), slug("Layer")
    ('perception', 'mix_sound_speech', 'layer')
    """
    words = re.findall(r"[^\W_]+", name.lower())
    return "_".join(word for word in words if word != "layer") or "_".join(words) or "unnamed"


class Spellings:
    """Every label seen so far, by its kind: two that would be one metric are one name in two spellings."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str, str]] = {}

    def add(self, labels: Iterable[tuple[str, str]], where: str) -> None:
        """Note (kind, name) pairs, such as ("category", "Perception Layer").

        Raises UserError, which `where` begins, for a name that was seen in another spelling: in other case, spaces,
        punctuation or Unicode form.
        """
        for kind, name in labels:
            key = kind, _metric(name)
            spelling, place = self._seen.setdefault(key, (name, where))
            if spelling != name:
                raise UserError(
                    f"{where}: the {kind} {name!r} is {spelling!r} in {place}: two names of one metric, "
                    f"{key[1]!r}; give both the same spelling"
                )


@functools.cache
def _metric(name: str) -> str:
    return slug(unicodedata.normalize("NFKC", name).casefold())
