"""Worked examples before the question: what is sent is what the prompt's file says, and what the model is shown."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_reasoning.conditions.text_only import without_audio
from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import sha256_file
from audio_reasoning.core.records import NO_AUDIO, Audio, Question
from audio_reasoning.engines.answer import answer_questions, request_for
from audio_reasoning.engines.demonstrations import check_apart, check_demonstrations, most_clips
from audio_reasoning.engines.endpoint import Server
from audio_reasoning.engines.engine import Decoding, Setup, open_engine
from audio_reasoning.engines.messages import body, cache_key, chat_request
from audio_reasoning.families.family import Shown
from audio_reasoning.prompts.prompt import Demonstration, Prompt
from audio_reasoning.prompts.registry import load_prompt, write_prompt
from stages import check
from stages.project import load_project
from tests import tiny_thinker
from tests.fake_openai import FakeOpenAI
from tests.questions import QUESTION

ROOT = Path(__file__).parent.parent
GREEDY = Decoding(temperature=0.0, top_p=1.0, max_tokens=6, n=1, seed=11)
THOUGHT = "<think>It rings.</think>\nANSWER: a bell"
ASKED = replace(QUESTION, audio=Audio("mini/q.wav", "0" * 64, 2.0))


def clip(root: Path, name: str, seconds: float, seed: int) -> Audio:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * 16_000))
    soundfile.write(path, samples, 16_000, subtype="PCM_16")
    return Audio(name, sha256_file(path), seconds)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data/audio"


@pytest.fixture
def question(root: Path) -> Question:
    return replace(ASKED, audio=clip(root, "mini/q.wav", 2.0, 0))


@pytest.fixture
def heard(root: Path) -> Prompt:
    """A prompt with a demonstration that has a clip, and one in text."""
    return shown(
        Demonstration("What rings?", ("a bell", "rain"), THOUGHT, clip(root, "mini/d.wav", 1.0, 1)),
        Demonstration("What falls?", ("a bell", "rain"), "ANSWER: rain\n"),
    )


def shown(*demonstrations: Demonstration) -> Prompt:
    user = "{{ question }}{% for choice in choices %} ({{ choice }}){% endfor %}"
    return Prompt("few_shot", "Few-shot", "Two examples.", 1, "Listen.", user, demonstrations=demonstrations)


def test_demonstrations_are_turns_before_the_question_by_the_prompts_own_template(
    heard: Prompt, question: Question, root: Path
) -> None:
    sent = body(chat_request(request_for(question, heard), GREEDY), Server("vllm", "", "", "m", {}, "", root))
    url = root.as_uri()
    assert sent["messages"] == [
        {"role": "system", "content": "Listen."},
        {
            "role": "user",
            "content": [
                {"type": "audio_url", "audio_url": {"url": f"{url}/mini/d.wav"}},
                {"type": "text", "text": "What rings? (a bell) (rain)"},
            ],
        },
        {"role": "assistant", "content": "<think>It rings.</think>\nANSWER: a bell"},
        {"role": "user", "content": [{"type": "text", "text": "What falls? (a bell) (rain)"}]},
        {"role": "assistant", "content": "ANSWER: rain"},
        {
            "role": "user",
            "content": [
                {"type": "audio_url", "audio_url": {"url": f"{url}/mini/q.wav"}},
                {"type": "text", "text": "Which sound is heard? (a bell) (rain)"},
            ],
        },
    ]


def test_a_question_in_text_alone_has_no_clip_of_a_demonstration_either(heard: Prompt, question: Question) -> None:
    (alone,) = without_audio([question], load_project(path=ROOT / "params.yaml").arms, Path())
    request = request_for(alone, heard)
    assert request.clips == [] and [one.user[:10] for one in request.demonstrations] == ["What rings", "What falls"]
    assert [audio.path for audio in request_for(question, heard).clips] == ["mini/d.wav", "mini/q.wav"]


def test_each_demonstration_decides_the_cached_answer_and_a_clip_by_its_bytes(heard: Prompt) -> None:
    first, second = heard.demonstrations
    moved = replace(first, audio=replace(first.audio, path="elsewhere.wav"))
    other = replace(first, audio=replace(first.audio, sha256="1" * 64))
    server = Server("vllm", "", "", "m", {}, "", Path())
    asked = [(), (first,), (first, second), (second, first), (other, second), (moved, second)]
    keys = [cache_key(chat_request(request_for(ASKED, shown(*some)), GREEDY), server) for some in asked]
    assert len(set(keys)) == 5 and keys[5] == keys[2]


def test_a_clip_that_is_not_what_the_prompts_file_says_is_told(heard: Prompt, root: Path) -> None:
    check_demonstrations(heard, root)
    first = heard.demonstrations[0]
    for change, message in (
        ({"path": "mini/absent.wav"}, r"absent\.wav: the clip of demonstration 1 of the prompt few_shot is missing"),
        ({"sha256": "0" * 64}, f"is another one than the prompt's file says; its sha256 is {first.audio.sha256}"),
        ({"duration_s": 1.5}, "has 1 s at 16000 Hz; the prompt's file says 1.5 s"),
    ):
        with pytest.raises(UserError, match=message):
            check_demonstrations(shown(replace(first, audio=replace(first.audio, **change))), root)


def test_a_prompt_that_shows_the_clip_of_a_question_is_refused(heard: Prompt, question: Question) -> None:
    check_apart(heard, [question])
    same = replace(question, audio=replace(heard.demonstrations[0].audio, path="mini/copy.wav"))
    with pytest.raises(UserError, match="demonstration 1 of the prompt few_shot shows the clip of q1"):
        check_apart(heard, [question, same])


def test_an_endpoint_gets_every_clip_inside_the_request(
    heard: Prompt, question: Question, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_project(path=ROOT / "params.yaml")
    with FakeOpenAI() as fake:
        monkeypatch.setenv("AUDIO_REASONING_BASE_URL", fake.base_url)
        monkeypatch.setenv("AUDIO_REASONING_API_KEY", fake.key)
        setup = Setup("openai", tmp_path / "none", None, params.serve, params.runtime, root, "fake", work=tmp_path)
        answer_questions([question], heard, setup, GREEDY)
    turns = [message["content"] for message in fake.bodies[-1]["messages"][1:]]
    assert [[part["type"] for part in turn] if isinstance(turn, list) else turn for turn in turns] == [
        ["input_audio", "text"], THOUGHT, ["text"], "ANSWER: rain", ["input_audio", "text"]
    ]  # fmt: skip
    assert turns[0][0] != turns[4][0]


def test_self_training_refuses_a_prompt_that_shows_clips(
    heard: Prompt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("  prompt: structured_reasoning", "  prompt: few_shot"))
    write_prompt(Path("prompts/few_shot.yaml"), heard)
    assert [fault for fault in check.problems() if "the demonstrations of few_shot have clips" in fault]


# ── With a tiny model of random weights ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_thinker.save(tmp_path_factory.mktemp("models") / "base")


def setup_of(backend: str, checkpoint: Path, root: Path, work: Path) -> Setup:
    params = load_project(path=ROOT / "params.yaml")
    return Setup(backend, checkpoint, None, params.serve, params.runtime, root, work=work)


def test_a_server_takes_more_clips_only_for_a_prompt_that_shows_some(
    heard: Prompt, checkpoint: Path, root: Path, tmp_path: Path
) -> None:
    setup = setup_of("vllm", checkpoint, root, tmp_path)
    baseline, few_shot = (
        open_engine(replace(setup, clips=most_clips(prompt))).identity
        for prompt in (load_prompt("baseline", ROOT / "prompts"), heard)
    )
    limits = [json.loads(identity["flags"][identity["flags"].index("--limit-mm-per-prompt") + 1]) for identity in
              (baseline, few_shot)]  # fmt: skip
    assert [limit["audio"] for limit in limits] == [1, 2]
    assert baseline == open_engine(setup).identity != few_shot


@pytest.mark.parametrize("seconds", [(1.5, 1.5), (1.0, 1.5)])
def test_a_conversation_is_encoded_as_by_the_official_processor(checkpoint: Path, seconds: tuple[float, float]) -> None:
    import torch

    from audio_reasoning.families.qwen3_omni.classes import Qwen3OmniMoeProcessor
    from audio_reasoning.families.qwen3_omni.processor import AudioTextProcessor

    processor = AudioTextProcessor.from_checkpoint(checkpoint)
    official = Qwen3OmniMoeProcessor.from_pretrained(checkpoint)
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal(round(length * 16_000)).astype(np.float32) for length in seconds]
    messages = [
        {"role": "system", "content": "Listen."},
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What rings?"}]},
        {"role": "assistant", "content": THOUGHT},
        {"role": "user", "content": [{"type": "text", "text": "What falls?"}]},
        {"role": "assistant", "content": "ANSWER: rain"},
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which?"}]},
    ]
    text = processor.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert THOUGHT in text
    theirs = official(text=[text], audio=samples, return_tensors="pt")
    first, own = (processor.features(one) for one in samples)
    demonstrations = [Shown("What rings?", first, THOUGHT), Shown("What falls?", None, "ANSWER: rain")]
    ours = processor.batch([processor.encode("Listen.", "Which?", own, demonstrations)])
    assert set(ours) == set(theirs)
    if len(set(seconds)) > 1:  # theirs pads the sound before the features, and sees another end of the shorter clip
        ours.pop("input_features")
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name].to(tensor.dtype)), name


@pytest.fixture
def forgetful(checkpoint: Path) -> Iterator[None]:
    """The model's chat template leaves out thinking, as those of thinking models do."""
    template = checkpoint / "chat_template.jinja"
    before = template.read_text()
    template.write_text(before.replace("{{ message['content'] }}", "{{ message['content'].split('</think>')[-1] }}"))
    yield
    template.write_text(before)


@pytest.mark.slow
def test_a_model_in_process_is_shown_the_demonstrations_and_samples_as_many_as_asked(
    heard: Prompt, question: Question, checkpoint: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = setup_of("transformers", checkpoint, root, tmp_path)
    asked = [question, replace(question, id="q2", question="Which sound is it that is heard?")]
    (first, second), _ = answer_questions(asked, heard, setup, GREEDY, keep_ids=True)
    hot = GREEDY.model_copy(update={"temperature": 2.0, "n": 3})
    samples, _ = answer_questions(asked, heard, setup, hot, keep_ids=True)
    assert [(one.question_id, one.sample_index) for one in samples] == [(q, n) for q in ("q1", "q2") for n in range(3)]
    assert {one.prompt_token_ids for one in samples} == {first.prompt_token_ids, second.prompt_token_ids}
    assert len({one.completion_token_ids for one in samples}) == 6
    # Each alone is answered as beside the other: clips of one are not heard in the other.
    for one, together in zip(asked, (first, second), strict=True):
        (single,), _ = answer_questions([one], heard, setup, GREEDY, keep_ids=True)
        assert single.completion_token_ids == together.completion_token_ids
    (alone,), _ = answer_questions([replace(question, audio=NO_AUDIO)], heard, setup, GREEDY, keep_ids=True)
    assert alone.prompt_token_ids != first.prompt_token_ids
    assert "otherwise than they are written" not in capsys.readouterr().err


@pytest.mark.slow
def test_thinking_that_the_chat_template_leaves_out_is_told(
    heard: Prompt,
    question: Question,
    checkpoint: Path,
    root: Path,
    tmp_path: Path,
    forgetful: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer_questions([question], heard, setup_of("transformers", checkpoint, root, tmp_path), GREEDY)
    told = capsys.readouterr().err
    assert f"few_shot: the chat template of {checkpoint} shows 1 of 2 responses of demonstrations otherwise" in told
