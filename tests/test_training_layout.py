"""Records in Parquet files: what is written is read, or the file is named in one message."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import write_json
from audio_reasoning.core.rollouts import Sample, Trace, read_records, write_records
from stages.layout import model_dir
from stages.training_models import bank_of, depth_of, trained_problems
from tests.training_records import sample, trace

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=5).map(tuple)
FLOATS = st.floats(allow_nan=False)
SAMPLES = st.builds(
    Sample,
    **dict.fromkeys(("order", "prompt_token_ids", "completion_token_ids"), IDS),
    sample_index=st.integers(0, 255),
)
TRACES = st.builds(
    Trace,
    **dict.fromkeys(("prompt_token_ids", "completion_token_ids"), IDS),
    **dict.fromkeys(("pass_rate", "weight", "duration_s"), FLOATS),
    sample_index=st.integers(0, 255),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training/iter1/samples.parquet"


@given(samples=st.lists(SAMPLES, max_size=3), traces=st.lists(TRACES, max_size=3))
def test_records_are_read_as_they_were_written(tmp_path_factory, samples, traces):
    folder = tmp_path_factory.mktemp("records")
    for kind, rows in ((Sample, samples), (Trace, traces)):
        write_records(folder / "a/file.parquet", kind, iter(rows))
        assert read_records(folder / "a/file.parquet", kind) == rows


def test_the_same_records_are_the_same_bytes(path):
    rows = [sample("q1", i) for i in range(100)]
    write_records(path, Sample, rows)
    before = path.read_bytes()
    path.unlink()
    write_records(path, Sample, rows)
    assert path.read_bytes() == before


def test_a_missing_file_is_told(path):
    with pytest.raises(UserError, match=r"samples\.parquet: no such file .*dvc repro"):
        read_records(path, Sample)


@pytest.mark.parametrize("kept", [0, 3, 0.5, -1])
def test_a_truncated_file_is_told(path, kept):
    write_records(path, Sample, [sample("q1", i) for i in range(100)])
    size = path.stat().st_size
    os.truncate(path, {0.5: size // 2, -1: size - 1}.get(kept, int(kept)))
    with pytest.raises(UserError, match=r"samples\.parquet: damaged or not Parquet .*delete it"):
        read_records(path, Sample)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"problem_id": ["q1"]}),
        pa.table({"anything": [1.0]}),
        pa.table({}),
    ],
    ids=["too few", "others", "none"],
)
def test_other_columns_are_told(path, table):
    path.parent.mkdir(parents=True)
    pq.write_table(table, path)
    with pytest.raises(UserError, match=r"samples\.parquet: its columns are not those of Sample; delete it"):
        read_records(path, Sample)


def test_records_of_another_kind_are_told(path):
    write_records(path, Sample, [sample("q1")])
    with pytest.raises(UserError, match="not those of Trace"):
        read_records(path, Trace)


@pytest.mark.parametrize("where", ["rows", "writing"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, where):
    write_records(path, Sample, [sample("old")])

    def interrupted(*_, **__):
        yield sample("new")
        raise KeyboardInterrupt

    rows = interrupted() if where == "rows" else [sample("new")]
    if where == "writing":

        def half(_, target, **__):
            Path(target).write_bytes(b"PAR1")
            raise KeyboardInterrupt

        monkeypatch.setattr(pq, "write_table", half)
    with pytest.raises(KeyboardInterrupt):
        write_records(path, Sample, rows)
    assert [row.problem_id for row in read_records(path, Sample)] == ["old"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_a_model_was_made_from_is_in_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(model_dir("base")) == "models/base" and depth_of("base") == 0 and bank_of("base") == []
    write_json(model_dir("iter2") / "model.json", {"depth": 2})
    write_records(model_dir("iter2") / "bank.parquet", Trace, [trace("q1"), trace("q2")])
    assert str(model_dir("iter2")) == "models/iter2" and depth_of("iter2") == 2
    assert bank_of("iter2") == [trace("q1"), trace("q2")]


def test_a_model_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"models/iter1/model\.json: no such file"):
        depth_of("iter1")
    with pytest.raises(UserError, match=r"models/iter1/bank\.parquet: no such file"):
        bank_of("iter1")
    with pytest.raises(UserError, match=r"models/iter1/trained\.json: no such file"):
        trained_problems("iter1")
