"""The parameters of control arms, typed; `conf/evidence.yaml` documents them."""

from pydantic import model_validator

from audio_reasoning.core.asked import Tampering
from audio_reasoning.core.errors import nearest
from audio_reasoning.core.run_names import ArmNames
from audio_reasoning.core.runs import ARMS
from audio_reasoning.core.typed import Strict


class Arms(ArmNames, Tampering):
    """Control arms: the same questions with something taken away or moved."""

    model_config = Strict.model_config

    @model_validator(mode="after")
    def _kinds_known(self) -> "Arms":
        for kind in self.kinds:
            if kind not in ARMS and kind not in self.others:
                hint = nearest(kind, [*ARMS, *self.others])
                raise ValueError(f"kinds: no control arm is called {kind!r}; {hint} (arms.others adds more)")
        return self
