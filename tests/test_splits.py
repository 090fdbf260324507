"""Shares in place of one split: whole clips, even sub-categories, the same each time."""

import random
from collections import Counter

import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.tasks.params import Data, Shares
from audio_reasoning.tasks.splits import divide, linked
from stages.params import parse_params

SHARES = Shares(train=0.7, dev=0.1, test=0.2)


def made(clips=200, each=3):
    rng = random.Random(0)
    groups = [f"clip {index}" for index in range(clips) for _ in range(each)]
    kinds = [rng.choices(["counting", "speech", "music"], (6, 3, 1))[0] for _ in groups]
    return groups, kinds


def test_shares_are_met_whole_clips_stay_together_and_sub_categories_are_even():
    groups, kinds = made()
    splits = divide(groups, kinds, SHARES)
    assert len(set(zip(groups, splits, strict=True))) == 200, "a clip is in two splits"
    for kind in ("counting", "speech", "music"):
        of_kind = Counter(split for split, k in zip(splits, kinds, strict=True) if k == kind)
        for split, share in (("train", 0.7), ("dev", 0.1), ("test", 0.2)):
            assert abs(of_kind[split] / of_kind.total() - share) < 0.05, (kind, of_kind)


def test_the_seed_decides():
    groups, kinds = made()
    assert divide(groups, kinds, SHARES) == divide(groups, kinds, SHARES)
    assert divide(groups, kinds, SHARES) != divide(groups, kinds, SHARES.model_copy(update={"seed": 1}))


@pytest.mark.parametrize("clips", [3, 4, 7])
def test_few_clips_leave_no_split_empty(clips):
    assert set(divide(*made(clips, 2), SHARES)) == {"train", "dev", "test"}


def test_too_few_clips_are_refused():
    with pytest.raises(UserError, match=r"2 group\(s\).*train and dev and test"):
        divide(*made(2, 5), SHARES)


def test_one_share_of_all_is_one_split():
    assert divide(["a", "a"], ["x", "y"], Shares(test=1.0)) == ["test", "test"]


def test_clips_under_two_groups_are_linked():
    assert len(set(linked(["a", "b", "c", "c"], ["1", "1", "2", "3"]))) == 2


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"train": 0.7, "test": 0.2}, "must add up to 1, not 0.9"),
        ({"train": 0.7, "tset": 0.3}, "unknown parameter sources.mine.split.tset.*test"),
        ("tset", "sources.mine.split: Input should be 'train', 'dev' or 'test'"),
    ],
)
def test_a_mistake_in_shares_has_one_clear_message(split, message):
    source = {"loader": "files", "questions": "q", "audio": "a", "split": split, "invalid": "stop", "sha256": ""}
    with pytest.raises(UserError, match=message) as error:
        parse_params(Data, {"sources": {"mine": source}}, "params.yaml")
    if split != {"train": 0.7, "tset": 0.3}:
        assert len(str(error.value).splitlines()) == 1
