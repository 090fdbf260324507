"""CountingQA and ReasonAQA: questions that are published, about audio that is not."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.reasonaqa import parsed
from stages.acquire import acquire
from tests.fake_hub import COMMIT
from tests.fake_zenodo import serve_record
from tests.published import (
    Hub,
    acquired,
    beside,
    nothing_is_written,
    provenance_of,
    serve,
    source,
    wav,
    workspace,
    zipped,
)

__all__ = ["workspace"]  # a fixture
COUNTING = {"loader": "countingqa", "revision": COMMIT, "split": "train", "audio": "clips"}
NUMBERS = ["One", "two times", "It rings 3 times.", "four", "The dog barks five times"]


def counting_row(n: int, answer: str, question: str = "How many times does the bell ring?") -> dict[str, Any]:
    said = [{"from": "human", "value": f"<sound>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"id": f"q{n}", "sound": f"{n}.wav", "duration": 3.2, "conversations": said}


@pytest.fixture
def counting(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    Path("clips").mkdir()
    for hub in serve("nvidia/AudioSkills", monkeypatch):
        rows = [counting_row(n, NUMBERS[n % 4]) for n in range(16)]
        rows += [counting_row(16, NUMBERS[0]), counting_row(17, "a dog"), counting_row(18, "two", "What barks twice?")]
        hub.files["audioskills_xl/CountingQA.json"] = json.dumps([*rows, {"id": "empty"}]).encode()
        for n in range(17):
            Path(f"clips/{n}.wav").write_bytes(wav(200 + 20 * n))
        yield hub


def test_counts_are_asked_among_their_neighbours_each_as_often(counting: Hub) -> None:
    rows = acquired("counts", **COUNTING)
    assert Counter(row["answer"] for row in rows) == {"1": 4, "2": 4, "3": 4, "4": 4}
    assert all(sorted(row["choices"]) == ["1", "2", "3", "4"] for row in rows)
    assert set(Counter(row["choices"].index(row["answer"]) for row in rows).values()) == {4}
    assert rows[0]["question"] == "How many times does the bell ring?"
    left = provenance_of("counts")["left_out"]
    assert sum(left.values()) == 4 and sorted(left.values()) == [1, 3]
    assert provenance_of("counts")["licenses"] == {"unknown": 16}


def test_a_clip_that_is_not_in_the_folder_is_dropped_and_a_folder_that_is_not_there_told(counting: Hub) -> None:
    Path("clips/3.wav").unlink()
    assert len(acquired("counts", **COUNTING)) == 15
    assert beside("counts", "dropped") == [{"id": "countingqa_q3", "why": "3.wav: no such audio file"}]
    with pytest.raises(UserError, match="elsewhere: no such audio folder"):
        acquire("other", source(**{**COUNTING, "audio": "elsewhere"}))
    assert not Path("data/audio/other").exists()


def reason_row(**changes: Any) -> dict[str, Any]:
    return {
        "taskname": "audiocaps",
        "filepath1": "AudioCapsLarger/test/Y6BJ455B1aAs.wav",
        "filepath2": "",
        "caption1": "A rocket flies by",
        "caption2": "",
        "input": "what is the primary sound event? a) dog barking b) a rocket c) car engine d) clapping",
        "answer": "b) a rocket",
        "subtype": "AudioCaps-MCQ.json",
    } | changes


@pytest.fixture
def endpoint(workspace: Path) -> Iterator[str]:
    rows = [
        reason_row(),
        reason_row(answer="A rocket"),
        reason_row(filepath2="AudioCapsLarger/test/YZsf2YvJfCKw.wav", input="explain the difference in few words"),
        reason_row(input="caption the audio"),
        reason_row(taskname="clothov21", filepath1="clotho/rain.wav", answer="d"),
        reason_row(filepath1="/etc/passwd"),
    ]
    path = Path("audio/AudioCapsLarger/test/Y6BJ455B1aAs.wav")
    path.parent.mkdir(parents=True)
    path.write_bytes(wav())
    archive = zipped({"reasonaqa/train.json": json.dumps(rows).encode(), "reasonaqa/val.json": b"["})
    with serve_record("15036628", {"reasonaqa.zip": archive}, {}) as (_, at):
        yield at


def reasonaqa(endpoint: str, **changes: Any) -> dict[str, Any]:
    return {"loader": "reasonaqa", "endpoint": endpoint, "audio": "audio", "split": "train"} | changes


def test_options_are_taken_out_of_the_question_and_the_rest_is_left_out_by_rule(endpoint: str) -> None:
    (row,) = acquired("reason", **reasonaqa(endpoint))
    assert (row["question"], row["answer"]) == ("what is the primary sound event?", "a rocket")
    assert row["choices"] == ["dog barking", "a rocket", "car engine", "clapping"]
    assert (row["group"], row["url"]) == ("6BJ455B1aAs", "https://www.youtube.com/watch?v=6BJ455B1aAs")
    assert row["provenance"]["license"] == "cc-by-4.0"
    assert provenance_of("reason")["left_out"] == {"it has no options to choose from": 1, "it is about two clips": 1}
    why = [entry["why"] for entry in beside("reason", "dropped")]
    assert "not one of the choices" in why[0] and "not one of the choices" in why[1]
    assert "must lie inside the audio folder" in why[2]


def test_a_file_of_the_archive_that_is_broken_or_not_there_is_named(endpoint: str) -> None:
    for part, told in (("val", r"reasonaqa\.zip: val\.json:1: not valid JSON"), ("test", "holds no test.json")):
        with pytest.raises(UserError, match=told) as caught:
            acquire("reason", source(**reasonaqa(endpoint, part=part)))
        assert ".extracted" not in str(caught.value)
    assert nothing_is_written("reason")


@given(
    st.text("xyz ", min_size=1).filter(str.strip),
    st.lists(st.text("uvw ", min_size=1).filter(str.strip), min_size=2, max_size=6),
)
def test_what_is_put_together_is_taken_apart_again(question: str, options: list[str]) -> None:
    text = " ".join([question, *(f"{chr(ord('a') + n)}) {option}" for n, option in enumerate(options))])
    assert parsed(text) == (
        question.strip(),
        {chr(ord("a") + n): option.strip() for n, option in enumerate(options)},
    )
