"""What each search for a prompt found, as the stage `optimize_prompt` wrote it."""

from collections.abc import Collection

from audio_reasoning.metrics.optimize_results import Optimization
from audio_reasoning.metrics.results import read_result
from stages.aliases import listed_name
from stages.layout import OPTIMIZE_METRICS


def read_optimizations(variants: Collection[str]) -> dict[str, Optimization]:
    """The searches by the name of their prompt; each start is called as `variants` call it.

    Raises UserError for a file that is not its own.
    """
    found = {path.stem: read_result(path, Optimization) for path in sorted(OPTIMIZE_METRICS.glob("*.json"))}
    return {
        name: search.model_copy(update={"start": listed_name(search.start, variants)}) for name, search in found.items()
    }
