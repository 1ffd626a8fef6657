"""What a GGUF file is to hold: metadata, and tensors that are read when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from host.errors import UserError

from ..families import FAMILIES
from ..model import Model
from ..read.bounds import brief
from ..read.fields import Fields
from ..read.gguf_container import File
from ..read.hf_folder import Folder
from ..read.hf_model import Tensors
from ..read.hyperparameters import differing, hyperparameters
from ..read.row_order import row_order


__all__ = ["Content", "Source", "of_file", "of_folder"]


# GGUF's numbers of types.
UINT32, FLOAT32, BOOL, STRING = (4, None), (6, None), (7, None), (8, None)


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
        arch=file.metadata["general.architecture"],
        metadata={key: (value, *file.kinds[key]) for key, value in file.metadata.items()},
        tensors={n: source(tensor) for n, tensor in file.tensors.items() if n not in beside},
    )


def metadata_of(model: Model):
    """A model's hyperparameters under GGUF's keys."""
    family, shape = FAMILIES[model.family], model.shape
    arch, layer_normed = family.called("gguf")[0], "attn_norm_bias" in all_vectors(model)
    norm = "layer_norm_epsilon" if layer_normed else "layer_norm_rms_epsilon"
    found = {
        "block_count": (len(model.layers), *UINT32),
        "context_length": (model.context, *UINT32),
        "embedding_length": (model.hidden, *UINT32),
        "feed_forward_length": (model.ffn, *UINT32),
        "attention.head_count": (model.heads, *UINT32),
        "attention.head_count_kv": (model.kv_heads, *UINT32),
        "attention.key_length": (model.head_dim, *UINT32),
        "attention.value_length": (model.head_dim, *UINT32),
        f"attention.{norm}": (shape.norm_eps, *FLOAT32),
        "vocab_size": (model.vocab, *UINT32),
    }
    if shape.rope is not None:
        found |= {
            "rope.dimension_count": (shape.rope.dim, *UINT32),
            "rope.freq_base": (shape.rope.theta, *FLOAT32),
        }
        if shape.rope.scaling.kind == "linear":
            found |= {
                "rope.scaling.type": ("linear", *STRING),
                "rope.scaling.factor": (shape.rope.scaling.factor, *FLOAT32),
            }
    if shape.local_rope is not None:
        found["rope.freq_base_swa"] = (shape.local_rope.theta, *FLOAT32)
    if shape.window:
        found["attention.sliding_window"] = (shape.window, *UINT32)
    for key, value, neutral in (
        ("attn_logit_softcapping", shape.attention_cap, 0.0),
        ("final_logit_softcapping", shape.logit_cap, 0.0),
        ("residual_scale", shape.residual_scale, 1.0),
        ("logit_scale", 1 / shape.logit_scale, 1.0),
    ):
        if value != neutral:
            found[key] = (value, *FLOAT32)
    if model.family == "granite":
        found["embedding_scale"] = (shape.embedding_scale, *FLOAT32)
        found["attention.scale"] = (shape.attention_scale, *FLOAT32)
    if shape.parallel or model.family == "gptneox":
        found["use_parallel_residual"] = (shape.parallel, *BOOL)
    return {
        "general.type": ("model", *STRING),
        "general.name": (model.name, *STRING),
        **{f"{arch}.{key}": value for key, value in found.items()},
    }


def all_vectors(model):
    """Names of the vectors that its layers have."""
    return {n for its in model.graph.layer_shapes.values() for n, s in its.items() if len(s) == 1}


def check_metadata(path, model, metadata):
    """Refuse a model of which GGUF's keys do not say all."""
    family = FAMILIES[model.family]
    values = {key: value for key, (value, *_) in metadata.items()}
    f = Fields(path, values, f"{family.called('gguf')[0]}.", model.shape.biased)
    name = differing(model.shape, hyperparameters(family, f, model.vocab))
    if name is not None:
        raise UserError(
            f"{path}: a GGUF file of a {family.title} cannot say that {name} is "
            f"{brief(getattr(model.shape, name))}; give a GGUF file instead"
        )


def of_folder(path, model: Model) -> Content:
    """The content of a Hugging Face folder, which `model` was read from, but for the tokenizer:
    weights as they are there, Q and K in the order that GGUF has for the family.

    Raises :exc:`~host.errors.UserError` for a family that GGUF does not have, and for what its
    keys do not say.
    """
    folder, family = Folder(path), FAMILIES[model.family]
    if not family.called("gguf"):
        raise UserError(f"{path}: GGUF has no {family.title}; it stays a folder")
    theirs, found = Tensors(folder, family, model.shape, 8), {}
    metadata = metadata_of(model)
    check_metadata(path, model, metadata)

    def name(tensor, prefix=""):
        names, suffix = family.file_names(tensor)
        return f"{prefix}{names.gguf}.{suffix}"

    def add(tensor, file, rows, prefix=""):
        order = row_order(family, model.shape, tensor, family.interleaved)
        count = file.shape[0] if rows is None else len(rows)
        rows = np.arange(count) if rows is None else rows
        rows = rows if order is None else rows[np.argsort(order)]
        offset = np.float32(family.hf_gain_offset * (tensor in theirs.gains))
        read = file.weights if len(file.shape) == 2 and hasattr(file, "weights") else file.floats
        found[name(tensor, prefix)] = Source(
            shape=(count, *file.shape[1:]), weights=lambda: read()[rows] + offset
        )

    matrix = model.vocab, model.hidden
    add("embedding", theirs.matrix(family.outside["embedding"].hf, matrix, 8), None)
    for n, kind in enumerate(model.graph.order):
        its = theirs.layer(n, model.graph.layer_shapes[kind])
        for tensor, (file, rows) in its.items():
            add(tensor, file, rows, f"blk.{n}.")
    for tensor, shape in model.graph.shapes.items():
        if tensor not in ("embedding", "head"):
            add(tensor, folder.find(theirs.name(tensor), shape), None)
    if not model.tied:
        add("head", theirs.matrix(family.outside["head"].hf, matrix, 8), None)
    arch = family.called("gguf")[0]
    return Content(name=model.name, arch=arch, metadata=metadata, tensors=found)
