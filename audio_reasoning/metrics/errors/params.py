"""The parameters of the error analysis, typed; `conf/evidence.yaml` documents them."""

from typing import Annotated

from pydantic import Field

from audio_reasoning.core.typed import Strict


class Errors(Strict):
    """Error analysis."""

    loop_ngram: Annotated[int, Field(ge=1)]
    loop_repeats: Annotated[int, Field(ge=2)]
