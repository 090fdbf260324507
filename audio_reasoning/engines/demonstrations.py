"""Worked examples of a prompt as they are sent: rendered by its template, their clips checked, and really shown."""

import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from audio_reasoning.core.audio import SAMPLE_RATE_HZ, samples_of
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.records import Audio, Question
from audio_reasoning.engines.answers import ChatResult
from audio_reasoning.engines.engine import Exchange, Request
from audio_reasoning.families.family import family_of
from audio_reasoning.prompts.registry import Prompt


def exchanges(prompt: Prompt, audio: bool) -> tuple[Exchange, ...]:
    """The turns that show the prompt's demonstrations; without `audio`, for a request in text alone, without clips."""
    return tuple(
        Exchange(
            user=prompt.render(one.question, one.choices)[1],
            response=one.response.strip(),
            audio=one.audio if audio else None,
        )
        for one in prompt.demonstrations
    )


def most_clips(prompt: Prompt) -> int:
    """How many clips a request under the prompt may hold: the question's and those of demonstrations."""
    return 1 + sum(one.audio is not None for one in prompt.demonstrations)


def check_apart(prompt: Prompt, questions: Sequence[Question]) -> None:
    """Raise UserError where a demonstration shows the clip of one of the questions: it would give the answer away."""
    asked = {question.audio.sha256: question.id for question in questions}
    for number, one in enumerate(prompt.demonstrations, start=1):
        if one.audio and one.audio.sha256 in asked:
            raise UserError(
                f"demonstration {number} of the prompt {prompt.name} shows the clip of {asked[one.audio.sha256]}, "
                "which is to be asked: take demonstrations from train questions"
            )


def check_demonstrations(prompt: Prompt, media_root: Path) -> None:
    """Raise UserError unless each demonstration's clip, if it has one, is on disk and as the prompt's file says."""
    for number, one in enumerate(prompt.demonstrations, start=1):
        if one.audio:
            _check_clip(one.audio, media_root, f"the clip of demonstration {number} of the prompt {prompt.name}")


def _check_clip(audio: Audio, media_root: Path, whose: str) -> None:
    path = media_root / audio.path
    if not path.is_file():
        raise UserError(f"{path}: {whose} is missing; its path is one below {media_root}")
    if (sha256 := sha256_file(path)) != audio.sha256:
        raise UserError(f"{path}: {whose} is another one than the prompt's file says; its sha256 is {sha256}")
    import soundfile  # 0.1 s, which few prompts need

    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: {whose} cannot be read: {error}") from None
    if (info.samplerate, info.frames) != (SAMPLE_RATE_HZ, samples_of(audio.duration_s)):
        raise UserError(
            f"{path}: {whose} has {info.frames / info.samplerate:g} s at {info.samplerate} Hz; the prompt's file says "
            f"{audio.duration_s:g} s, and clips have {SAMPLE_RATE_HZ} Hz"
        )


def tell_unshown(requests: Sequence[Request], results: Sequence[ChatResult], model: Path, name: str) -> None:
    """Warn where the model's chat template did not show responses of demonstrations as they are written.

    Templates of thinking models leave out the thinking of earlier turns. Seen in the first prompt of which there are
    token ids; `name` is the prompt's.
    """
    asked = zip(requests, results, strict=True)
    found = next(((r.demonstrations, a.prompt_token_ids) for r, a in asked if a.prompt_token_ids), None)
    if found is None or not found[0]:
        return
    demonstrations, ids = found
    tokenizer = family_of(model).processor(model).tokenizer
    text = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    shown = unicodedata.normalize("NFC", text)
    missing = [one for one in demonstrations if unicodedata.normalize("NFC", one.response) not in shown]
    if missing:
        print(
            f"warning: {name}: the chat template of {model} shows {len(missing)} of {len(demonstrations)} responses of "
            "demonstrations otherwise than they are written; that of a thinking model leaves out their thinking",
            file=sys.stderr,
        )
