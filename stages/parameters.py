"""Stage `parameters`: every key of params.yaml is one that some stage knows, and has a value of its type.

DVC looks only at keys that stages declare, so a mistyped key that was added (`-S '+infer.temprature=0.7'`) changes
nothing for it, and an experiment in which nothing ran would be called done. This stage depends on the whole file,
and all others on this one through an output that never changes: it runs first whenever the file has changed,
whatever the target, and makes nothing else stale.

    python -m stages.parameters
"""

import argparse
from pathlib import Path

from audio_reasoning.core.errors import stage_main
from audio_reasoning.core.files import atomic_write
from stages.params import PARAMS
from stages.project import load_project

CHECKED = Path("data/parameters/checked.txt")


@stage_main
def main() -> None:
    """Run the stage."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    load_project()
    with atomic_write(CHECKED) as file:
        file.write(f"every key of {PARAMS} is known\n")
    print(f"{PARAMS}: every key is known")


if __name__ == "__main__":
    main()
