"""MMAR's question schema, typed (Ma et al., "MMAR", arXiv 2505.13032; BoJack/MMAR on the Hugging Face hub)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from audio_reasoning.core.records import OptionalText, Text

Split = Literal["train", "dev", "test"]


class ScoredRow(BaseModel):
    """What a question must say for answers to it to be scored; further fields are let through, and not read."""

    model_config = ConfigDict(frozen=True)

    id: Text
    choices: Annotated[list[Annotated[str, Strict()]], Strict(), Field(description="a list of texts")]
    answer: Text
    modality: Text
    category: Text
    sub_category: Annotated[Text, Field(alias="sub-category")]
    language: OptionalText = None
    source: OptionalText = None
    group: OptionalText = None


class AskedRow(ScoredRow):
    """What a question must say to be asked."""

    audio_path: Text
    question: Text
    url: OptionalText = None
    timestamp: OptionalText = None
    split: Annotated[Split | None, Field(description="one of train, dev, test")] = None

    @model_validator(mode="after")
    def _says_something(self) -> "AskedRow":
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.is_required() and isinstance(value, str) and not value.strip():
                raise ValueError(f"{field.alias or name!r} must be a text that is not blank, found {value!r}")
        return self
