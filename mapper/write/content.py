"""What a GGUF file is to hold: metadata, and tensors that are read when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..families import FAMILIES
from ..model import Model, half_split
from ..read.gguf_container import File
from ..read.hf_folder import Folder
from ..read.hf_model import layer_matrices
from ..read.hf_quantized import layout_of


__all__ = ["Content", "Source", "of_file", "of_folder"]


UINT32, FLOAT32, STRING = (4, None), (6, None), (8, None)  # GGUF's numbers of types


@dataclass(frozen=True, kw_only=True)
class Source:
    """A tensor: `shape` slowest dimension first; `weights` gives it in float32, and `raw`, where
    there is one, the bytes that it has in the type named `kind`."""

    shape: tuple[int, ...]
    weights: Callable[[], np.ndarray]
    kind: str | None = None
    raw: Callable[[], np.ndarray] | None = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file is to hold.

    Attributes
    ----------
    name, arch : :class:`str`
        Of the model; and its architecture, as GGUF calls it.
    metadata : :class:`dict`
        Key to (value, GGUF's number of its type, of its elements' type or None).
    tensors : :class:`dict`
        GGUF's name to :class:`Source`.
    """

    name: str
    arch: str
    metadata: dict[str, tuple[Any, int, int | None]]
    tensors: dict[str, Source]


def of_file(path, model: Model) -> Content:
    """The content of a GGUF file, which `model` was read from. Factors beside matrices, as files
    in NVFP4 have them, are multiplied in."""
    file = File(path)
    matrices = [tensor for tensor in file.tensors.values() if len(tensor.shape) == 2]
    beside = {name for tensor in matrices for name in file.beside(tensor)}

    def source(tensor):
        if len(tensor.shape) != 2:
            return Source(shape=tensor.shape, weights=lambda: file.floats(tensor))
        return Source(
            shape=tensor.shape,
            weights=lambda: file.weights(tensor),
            kind=tensor.type.name if file.factor(tensor) is None else None,
            raw=lambda: np.frombuffer(file.data, np.uint8, tensor.size, tensor.offset),
        )

    return Content(
        name=model.name,
        arch=FAMILIES[model.family].gguf,
        metadata={key: (value, *file.kinds[key]) for key, value in file.metadata.items()},
        tensors={n: source(tensor) for n, tensor in file.tensors.items() if n not in beside},
    )


def metadata_of(model: Model):
    """A model's hyperparameters under GGUF's keys."""
    arch = FAMILIES[model.family].gguf
    return {
        "general.type": ("model", *STRING),
        "general.name": (model.name, *STRING),
        f"{arch}.block_count": (len(model.layers), *UINT32),
        f"{arch}.context_length": (model.context, *UINT32),
        f"{arch}.embedding_length": (model.hidden, *UINT32),
        f"{arch}.feed_forward_length": (model.ffn, *UINT32),
        f"{arch}.attention.head_count": (model.heads, *UINT32),
        f"{arch}.attention.head_count_kv": (model.kv_heads, *UINT32),
        f"{arch}.attention.key_length": (model.head_dim, *UINT32),
        f"{arch}.attention.value_length": (model.head_dim, *UINT32),
        f"{arch}.attention.layer_norm_rms_epsilon": (model.rms_eps, *FLOAT32),
        f"{arch}.rope.dimension_count": (model.head_dim, *UINT32),
        f"{arch}.rope.freq_base": (model.rope_theta, *FLOAT32),
        f"{arch}.vocab_size": (model.vocab, *UINT32),
    }


def of_folder(path, model: Model) -> Content:
    """The content of a Hugging Face folder, which `model` was read from, but for the tokenizer:
    weights as they are there, Q and K in the order that GGUF has for the family."""
    folder, family, tensors = Folder(path), FAMILIES[model.family], {}
    layout, shapes = layout_of(folder), model.graph.layer_shapes

    def add(name, matrix, rows=slice(None), order: Any = slice(None)):
        count = len(range(*rows.indices(matrix.shape[0])))
        tensors[name] = Source(
            shape=(count, matrix.shape[1]), weights=lambda: matrix.weights()[rows][order]
        )

    def gains(name, theirs):
        tensor = folder.tensors[theirs]
        tensors[name] = Source(shape=tensor.shape, weights=tensor.floats)

    add("token_embd.weight", layout.matrix("model.embed_tokens", (model.vocab, model.hidden), 8))
    for n in range(len(model.layers)):
        prefix = f"model.layers.{n}."
        for part, names in family.norms.items():
            gains(f"blk.{n}.{names.gguf}.weight", f"{prefix}{names.hf}.weight")
        for matrix, parts in layer_matrices(folder, layout, family, prefix, shapes, 8):
            for part, rows in parts.items():
                order = slice(None)
                if part in family.interleaved:
                    heads = shapes[part][0] // model.head_dim
                    order = np.argsort(half_split(heads, model.head_dim))
                add(f"blk.{n}.{family.linears[part].gguf}.weight", matrix, rows, order)
    gains("output_norm.weight", "model.norm.weight")
    if not model.tied:
        add("output.weight", layout.matrix("lm_head", (model.vocab, model.hidden), 8))
    return Content(name=model.name, arch=family.gguf, metadata=metadata_of(model), tensors=tensors)
