"""What all tests share."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from audio_reasoning.engines import connection
from audio_reasoning.engines.cache import ResponseCache
from tests.fake_openai import FakeOpenAI

# How fast a busy machine makes up examples says nothing about the code.
settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")


def pytest_configure() -> None:
    """Give each of several test processes a core, which what it starts inherits.

    Models that train at once on the same cores wait for each other at every operation, and take ten times as long.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


# Trains the model that test_pipeline takes over, which therefore begins later, as one of those that follow.
FIRST = "test_training_pipeline.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What drives a browser is slow; other slow tests say so themselves. Files that hold the most of them come first.

    A file that takes minutes and begins last is waited for by an idle core.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name != FIRST, -slow[item.path]))


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    """An endpoint in this process."""
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ResponseCache]:
    """A response cache, empty at first."""
    cache = ResponseCache(tmp_path / "responses.sqlite")
    yield cache
    cache.close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that failed is sent again at once."""
    monkeypatch.setattr(connection, "_FIRST_WAIT_S", 0.02)
