"""The safetensors of a checkpoint, read and written tensor by tensor, in as much memory as the largest of them takes.

The library's own reader maps a whole file, whose pages then count as this process's memory, and its writer wants all
tensors of a file at once: a shard of a published 30B checkpoint is 4 to 5 GB. The format is eight bytes of length, a
JSON header, and the tensors one behind the other (https://github.com/huggingface/safetensors#format).
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch
from safetensors import SafetensorError, safe_open

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.files import read_json

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"  # transformers' names
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_BLOCK = 1 << 23

Change = Callable[[torch.Tensor], torch.Tensor]  # to one of the same shape and type


@dataclass(frozen=True)
class Stored:
    """Where a tensor is: a file, and the place and the number of its bytes."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    size: int

    def load(self) -> torch.Tensor:
        """The tensor, in memory of its own. Raises UserError for a type that nothing is added to."""
        if self.dtype not in DTYPES:
            raise UserError(
                f"{self.file}: holds weights of type {self.dtype}, to which no adapter can be added; merge into a "
                f"checkpoint of {', '.join(DTYPES)}"
            )
        data = bytearray(self.size)
        with self.file.open("rb") as file:
            file.seek(self.start)
            if file.readinto(data) != self.size:
                raise UserError(f"{self.file}: was cut short while it was read")
        return torch.frombuffer(data, dtype=DTYPES[self.dtype]).reshape(self.shape)


def shards_of(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, by name: those that its index names, or the one.

    Raises UserError where one is missing.
    """
    if not (folder / INDEX).is_file():
        if not (folder / WHOLE).is_file():
            raise UserError(f"{folder}: no weights there (neither {WHOLE} nor {INDEX})")
        return [folder / WHOLE]
    index = read_json(folder / INDEX)
    if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict):
        raise UserError(f"{folder / INDEX}: expected an object with weight_map; fetch or make the checkpoint anew")
    names = sorted(set(index["weight_map"].values()))
    for name in names:
        if Path(name).name != name:
            raise UserError(f"{folder / INDEX}: {name!r} is no name of a file beside it")
        if not (folder / name).is_file():
            raise UserError(
                f"{folder / name}: missing, one of the {len(names)} files that {INDEX} names; fetch or make the "
                "checkpoint anew"
            )
    return [folder / name for name in names]


def stored_in(file: Path) -> dict[str, Stored]:
    """The tensors of a file by name, in the order in which they lie there.

    Raises UserError for one that is cut short, or no safetensors.
    """
    return _header(file)[1]


def checkpoint_tensors(folder: Path) -> dict[str, Stored]:
    """All tensors of a checkpoint by name.

    Raises UserError where a shard is missing or damaged, or does not hold what the index says.
    """
    tensors: dict[str, Stored] = {}
    for shard in shards_of(folder):
        tensors |= stored_in(shard)
    if (folder / INDEX).is_file():
        where = {name: stored.file.name for name, stored in tensors.items()}
        wrong = [name for name, file in read_json(folder / INDEX)["weight_map"].items() if where.get(name) != file]
        if wrong:
            raise UserError(
                f"{folder / INDEX}: {len(wrong)} tensors are not in the files that it names, {sorted(wrong)[0]} is "
                "one; fetch or make the checkpoint anew"
            )
    return tensors


def rewrite(source: Path, target: Path, changes: Mapping[str, Change]) -> None:
    """Write the file again with some tensors changed, and all others byte for byte."""
    metadata, tensors = _header(source)
    with source.open("rb") as old, target.open("wb") as new:
        new.write(_as_header(metadata | {"format": "pt"}, tensors))  # without it transformers refuses a file
        for name, stored in tensors.items():
            if name in changes:
                weights = stored.load()
                changed = changes[name](weights).contiguous()
                assert (changed.shape, changed.dtype) == (weights.shape, weights.dtype), name
                new.write(changed.view(torch.uint8).numpy().data)
            else:
                old.seek(stored.start)
                for block in _blocks(old, stored.size):
                    new.write(block)


def _blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        block = file.read(min(size, _BLOCK))
        if not block:
            raise UserError(f"{file.name}: was cut short while it was read")
        size -= len(block)
        yield block


def _header(file: Path) -> tuple[dict[str, str], dict[str, Stored]]:
    """The metadata of a file, and its tensors."""
    try:
        with safe_open(file, framework="pt"):  # which sees that all bytes are there, and no two tensors share any
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file}: damaged or cut short ({error}); fetch or make it anew") from None
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
    metadata = header.pop("__metadata__", {})
    tensors = {
        name: Stored(file, row["dtype"], tuple(row["shape"]), 8 + length + first, last - first)
        for name, row in sorted(header.items(), key=lambda item: item[1]["data_offsets"])
        for first, last in [row["data_offsets"]]
    }
    return metadata, tensors


def _as_header(metadata: Mapping[str, str], tensors: Mapping[str, Stored]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, stored in tensors.items():
        header[name] = {
            "dtype": stored.dtype,
            "shape": stored.shape,
            "data_offsets": [offset, offset := offset + stored.size],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors are aligned
    return len(text).to_bytes(8, "little") + text


def copy_others(source: Path, target: Path) -> None:
    """Copy what a checkpoint's folder holds beside its weights, but for its model card and hidden files."""
    for file in sorted(source.iterdir()):
        skipped = file.name.startswith(".") or file.name.lower() == "readme.md" or file.suffix in _WEIGHTS
        if file.is_file() and not skipped:
            shutil.copyfile(file, target / file.name)


_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".onnx", ".h5", ".msgpack")
