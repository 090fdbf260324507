"""How an exported model is loaded by others, as a model card says it."""

from typing import Literal

from audio_reasoning.render.card_sections import NOT_KNOWN, fenced

_LIMITS = """--limit-mm-per-prompt '{"audio": 1, "image": 0, "video": 0}'"""
_IMPORT = "from transformers import Qwen3OmniMoeThinkerConfig, Qwen3OmniMoeThinkerForConditionalGeneration as Thinker"


def loading(
    kind: Literal["merged", "adapter", "base"],
    model_type: str,
    dtype: str,
    max_model_len: int,
    base: str,
    base_revision: str | None,
    rank: int | None,
) -> str:
    """Commands for vLLM, transformers and PEFT; `FOLDER` stands for where the exported folder is.

    `base` is the base model's name on the hub, and counts only with a `base_revision`.
    """
    if model_type != "qwen3_omni_moe":
        return f"How other programs load a model of the type {model_type} is {NOT_KNOWN} here."
    options = f"--dtype {dtype} --max-model-len {max_model_len} {_LIMITS}"
    where = base if base_revision else "BASE"
    at = f", revision={base_revision!r}" if base_revision else ""
    thinker = (
        f"{_IMPORT}\n\n"
        f"config = Qwen3OmniMoeThinkerConfig.from_pretrained({{0!r}}{at if kind == 'adapter' else ''})\n"
        f"model = Thinker.from_pretrained({{0!r}}{at if kind == 'adapter' else ''}, config=config, dtype={dtype!r})"
    )
    if kind != "adapter":
        return "\n\n".join(
            (
                "`FOLDER` is this folder. With vLLM, which reads clips below a folder that you name:",
                fenced(f"vllm serve FOLDER {options} --allowed-local-media-path CLIPS", "bash"),
                "With transformers:",
                fenced(thinker.format("FOLDER"), "python"),
            )
        )
    revision = f"--revision {base_revision} " if base_revision else ""
    note = (
        "" if base_revision else "`BASE` is the folder of the base model, which `audio-reasoning export base` writes. "
    )
    lora = f"--enable-lora --max-lora-rank {rank} --lora-modules mine=FOLDER"
    return "\n\n".join(
        (
            f"{note}`FOLDER` is this folder. With vLLM on a GPU; on a CPU it serves no adapter of a mixture of "
            "experts, but the merged checkpoint, which `audio-reasoning export` writes without `--adapter`:",
            fenced(f"vllm serve {where} {revision}{options} {lora}", "bash"),
            "With transformers and PEFT:",
            fenced(
                thinker.format(where)
                + "\n\nfrom peft import PeftModel\n\nmodel = PeftModel.from_pretrained(model, 'FOLDER')",
                "python",
            ),
        )
    )
