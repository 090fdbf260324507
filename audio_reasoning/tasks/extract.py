"""From what a model wrote to the choice it meant: pure, total, and never a guess.

A model is asked for `<think>…</think>` and then a line `ANSWER: <text of one choice>`. The answer is read
after the last `</think>`, at the last `ANSWER:`. It is a choice's index when exactly one choice fits by one
of these rules, tried in this order, and otherwise nothing:

| rule          | what stands after `ANSWER:`                                                        |
|---------------|------------------------------------------------------------------------------------|
| `verbatim`    | a choice, character by character                                                   |
| `normalised`  | a choice, but for case, Unicode form, quotes, markdown, brackets and a full stop   |
| `letter_text` | an option letter and the choice that it stands for: "(B) Cat"                      |
| `letter`      | an option letter alone: "B", unless the choices themselves could be meant by it    |
| `unpaired`    | a choice, but for a quote or bracket at an end that lacks its pair                  |

The rules that find nothing have names as well: `unclosed` (a thinking trace without an end), `no_marker`,
`empty`, `no_match`, `ambiguous` (several choices fit), `letter_conflict` ("(B) Cat" where B is not Cat).
No rule looks for a choice *inside* a sentence: "not a cat, a dog" would match both.

Where an output holds invisible characters, special tokens, LaTeX, block quotes or emphasis (`noise`), it is read with
and without them, and by its first turn if it goes on after an end token; readings that differ are `ambiguous`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audio_reasoning.core.records import Response, Rollout, Status
from audio_reasoning.core.thinking import split_thinking
from audio_reasoning.tasks.noise import but_for_unpaired, turn_end, undressed, visible

VERSION = 2  # of the rules; raise it when any of them changes

ChoiceMatch = tuple[int | None, str]

MARKER = re.compile(r"(?<![^\W_])answer[*_`\])}>】 \t]*[:：]", re.IGNORECASE)
ENDS_IN_MARKER = re.compile(MARKER.pattern + r"\s*\Z", re.IGNORECASE)
LETTER = re.compile(r"(?:option )?[(\[]?([a-z])(?:[*_`]*[).:\]]+[*_`]*\s*(.*))?", re.DOTALL)
CLOSING = {"(": ")", "[": "]", "{": "}", "<": ">", "【": "】", '"': '"', "'": "'", "“": "”", "‘": "’"}
ONE_SPELLING = str.maketrans("‘’‚‛ʼ“”„‟«»‐–—−", "'" * 5 + '"' * 6 + "-" * 4)
LAYERS = 4  # of emphasis, brackets, quotes and full stops around an answer: "**(“Cat.”)**" has four


@dataclass(frozen=True)
class Extraction:
    """The index of the chosen choice, or None; the name of the rule that decided; the thinking trace."""

    answer: int | None
    rule: str
    thinking: str


def extract(text: str, choices: Sequence[str]) -> Extraction:
    r"""Find the one choice that `text`, a model's whole output, answers with.

    >>> choices = ["Cat", "Big dog"]
    >>> extract("<think>It barks.</think>\nANSWER: Big dog", choices)
    Extraction(answer=1, rule='verbatim', thinking='It barks.')
    >>> extract("**Answer:** big dog.", choices).rule
    'normalised'
    >>> extract("ANSWER: Cat\nNo, wait.\nANSWER: Big dog", choices).answer  # the last one counts
    1
    >>> extract("It is a cat.", choices)
    Extraction(answer=None, rule='no_marker', thinking='')
    >>> extract("<think>ANSWER: Cat", choices).rule
    'unclosed'
    """
    thinking, body, closed = split_thinking(text)
    answer, rule = _agreed(body, choices) if closed else (None, "unclosed")
    return Extraction(answer, rule, thinking)


def status_of(extraction: Extraction, finish_reason: str) -> Status:
    """What became of a response that arrived: `ok`, `truncated` or `no_answer`.

    An output cut at the token limit is truncated even if a choice was found in it, since the cut may
    have shortened the choice.

    >>> status_of(extract("ANSWER: Cat", ["Cat", "Cat food"]), "length")
    'truncated'
    """
    if finish_reason == "length" or extraction.rule == "unclosed":
        return "truncated"
    return "no_answer" if extraction.answer is None else "ok"


def answer_text(text: str) -> str:
    """What was given as the answer, whether or not it is a choice: the text after `ANSWER:`, else all of the body.

    >>> answer_text("<think>…</think> ANSWER: a dog, I think")
    'a dog, I think'
    """
    body = visible(split_thinking(text)[1])
    markers = _last_line_markers(body)
    return (body[markers[0].end() :] if markers else body).strip()


def match_choice(text: str, choices: Sequence[str]) -> ChoiceMatch:
    """The choice that `text` is, by the rules of this module, and the name of the rule.

    >>> choices = ["Cat", "Dog", "DOG"]
    >>> match_choice("Dog", choices)
    (1, 'verbatim')
    >>> match_choice("“cat”.", choices)
    (0, 'normalised')
    >>> match_choice("dog", choices)
    (None, 'ambiguous')
    >>> match_choice("(B) dog", choices)
    (1, 'letter_text')
    >>> match_choice("(B) cat", choices)
    (None, 'letter_conflict')
    >>> match_choice("B", choices)
    (1, 'letter')
    >>> match_choice("B", ["C", "A", "G"])  # notes, not options
    (None, 'no_match')
    >>> match_choice("not a cat", choices)
    (None, 'no_match')
    """
    if not text.strip():
        return None, "empty"
    verbatim = [i for i, choice in enumerate(choices) if choice.strip() == text.strip()]
    if verbatim:
        return _only(verbatim, "verbatim")
    said, known = normalise(text), [normalise(choice) for choice in choices]
    if said and said in known:
        return _only([i for i, choice in enumerate(known) if choice == said], "normalised")
    matched = _match_letter(said, known)
    if matched[1] == "no_match" and not LETTER.fullmatch(said) and (hits := but_for_unpaired(said, known)):
        return _only(hits, "unpaired")
    return matched


def normalise(text: str) -> str:
    """Fold away what does not distinguish choices: case, Unicode form, spacing, quotes, emphasis, brackets, full stop.

    >>> normalise("- **“The  Fifth”.**")
    'the fifth'
    >>> normalise("-5"), normalise("C#"), normalise("f(x)")  # signs, sharps and inner brackets stay
    ('-5', 'c#', 'f(x)')
    """
    folded = unicodedata.normalize("NFKC", text).translate(ONE_SPELLING).casefold()
    return _bare(" ".join(folded.split()))


def _bare(text: str) -> str:
    for _ in range(LAYERS):
        text = re.sub(r"^(?:[-•]|#+) ", "", text).strip("*_` ").rstrip(".。 ")
        if _enclosed(text):
            text = text[1:-1].strip()
    return text


def _enclosed(text: str) -> bool:
    """Whether the first character is a bracket or quote that the last one, and none before, closes."""
    opening, closing = text[:1], CLOSING.get(text[:1])
    if len(text) < 2 or text[-1] != closing:
        return False
    if opening == closing:
        return True
    depth = 0
    for position, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth == 0:
            return position == len(text) - 1
    return False


def _only(hits: list[int], rule: str) -> ChoiceMatch:
    return (hits[0], rule) if len(hits) == 1 else (None, "ambiguous")


def _match_letter(said: str, known: list[str]) -> ChoiceMatch:
    match = LETTER.fullmatch(said)
    if match is None:
        return None, "no_match"
    index, rest = ord(match[1]) - ord("a"), _bare(match[2] or "")
    if rest:
        hits = [i for i, choice in enumerate(known) if choice == rest] or but_for_unpaired(rest, known)
        if index in hits:
            return index, "letter_text"
        return None, "letter_conflict" if hits else "no_match"
    if index < len(known) and _letters_are_positions(known):
        return index, "letter"
    return None, "no_match"


def _letters_are_positions(known: list[str]) -> bool:
    """Whether "B" can only mean the second choice: no choice is a letter or bears another position's letter."""
    for position, choice in enumerate(known):
        match = LETTER.fullmatch(choice)
        if match and (not match[2] or position != ord(match[1]) - ord("a") < len(known)):
            return False
    return True


def _agreed(body: str, choices: Sequence[str]) -> ChoiceMatch:
    """What the body says with and without noise: readings that find different choices find none."""
    seen, known = visible(body), [visible(choice) for choice in choices]
    plain = undressed(seen, known)
    readings = [(body, list(choices)), (seen, known), (plain, known)]
    readings = [reading for i, reading in enumerate(readings) if reading not in readings[:i]]
    if len(readings) == 1:
        return _read(body, choices)
    markers = [len(MARKER.findall(text)) for text, _ in readings]  # noise within one hides it
    matches = [_read(*reading) for reading, n in zip(readings, markers, strict=True) if n == max(markers)]
    marker = MARKER.search(seen)
    token = turn_end(seen, marker.end(), known) if marker else None
    if token is not None:
        first = _read(undressed(seen[: token.start()], known), known)
        within_a_word = seen[token.start() - 1].isalnum() and seen[token.end() : token.end() + 1].isalnum()
        if first[0] is not None and within_a_word and all(answer != first[0] for answer, _ in matches):
            return None, "ambiguous"
        matches.append(first)
    answers = {answer for answer, _ in matches if answer is not None}
    if len(answers) > 1:
        return None, "ambiguous"
    # A choice character by character stands against choices that only noise tells apart; nothing else does.
    unclear = [match for match in matches if match[1] in ("ambiguous", "letter_conflict")]
    if unclear:
        return next((match for match in matches if match[1] == "verbatim"), unclear[0])
    return next((match for match in matches if match[0] is not None), matches[-1])


def _read(body: str, choices: Sequence[str]) -> ChoiceMatch:
    # A choice may itself contain "answer:", so the longest one that is all that follows a marker is meant.
    ending = body.rstrip()
    for choice in sorted({choice.strip() for choice in choices} - {""}, key=len, reverse=True):
        if ending.endswith(choice) and ENDS_IN_MARKER.search(ending.removesuffix(choice)):
            return match_choice(choice, choices)
    markers = _last_line_markers(body)
    if not markers:
        return None, "no_marker"
    matched: ChoiceMatch = (None, "empty")
    for marker in (markers[0], markers[-1]):
        for text in _readings(_after(body, marker), choices):
            matched = match_choice(text, choices)
            if matched[1] != "no_match":
                return matched
    return matched


def _last_line_markers(body: str) -> list[re.Match[str]]:
    """The markers on the last line that has any."""
    markers = list(MARKER.finditer(body))
    line_start = body.rfind("\n", 0, markers[-1].start()) + 1 if markers else 0
    return [marker for marker in markers if marker.start() >= line_start]


def _after(body: str, marker: re.Match[str]) -> str:
    """The text after a marker; "[ANSWER: Cat]" keeps the bracket that opened before the marker, so that it can pair."""
    opening = body[: marker.start()].rstrip("*_` ")[-1:]
    closing = CLOSING.get(opening, opening)
    return (opening if closing != opening and closing not in marker[0] else "") + body[marker.end() :]


def _readings(text: str, choices: Sequence[str]) -> Iterator[str]:
    """The first lines of `text`, as many as a choice could have been broken into, then fewer, down to one."""
    lines = [line for line in text.splitlines() if line.strip()]
    most = max((len(choice.split()) for choice in choices), default=1)
    for end in range(min(len(lines), most), 0, -1):
        yield "\n".join(lines[:end])


def read_answer(rollout: Rollout, choices: Sequence[str]) -> Response:
    """What a sampled answer means: which choice, by which rule, after which thinking.

    `choices` are the question's, in its own order; where they were asked in another, the rollout says so.
    """
    order = rollout.order or tuple(range(len(choices)))
    extraction = extract(rollout.text, [choices[index] for index in order])
    status: Status = "error" if rollout.error else status_of(extraction, rollout.finish_reason)
    return Response(
        question_id=rollout.question_id,
        sample_index=rollout.sample_index,
        status=status,
        text=rollout.text,
        thinking=extraction.thinking,
        answer=order[extraction.answer] if status == "ok" and extraction.answer is not None else None,
        extraction=extraction.rule if status != "error" else "none",
        finish_reason=rollout.finish_reason,
        prompt_tokens=rollout.prompt_tokens,
        completion_tokens=rollout.completion_tokens,
        error=rollout.error,
        prompt_token_ids=rollout.prompt_token_ids,
        completion_token_ids=rollout.completion_token_ids,
        forced=rollout.forced,
        reasked_chars=rollout.reasked_chars,
    )
