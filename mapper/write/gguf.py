"""Write GGUF files, through the field's libraries: `gguf`, and llama.cpp itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np

from host.errors import UserError

from ..model import Linear
from ..read.bounds import brief
from ..read.gguf_types import TYPES, Codes
from . import llama_cpp
from .content import Content
from .mixture import HEAD, MIXED, MIXTURE, fitting, wanted


__all__ = ["KINDS", "Written", "chosen", "write"]


KINDS = {its.name: number for number, its in TYPES.items()}  # all that are read are written, too
LOST = 256  # a block's largest weight is never that many times what any type makes of it
POSITIONS = ("position_embd.weight",)  # stay floats, as with llama-quantize
VERSION = 2  # of ggml's blocks, `general.quantization_version`


@dataclass(frozen=True, kw_only=True)
class Written:
    """The types of a file's matrices.

    Attributes
    ----------
    types : :class:`dict` of :class:`str` to :class:`str`
        Type of each matrix, by name.
    instead : :class:`dict` of :class:`str` to :class:`str`
        Of those whose rows are no multiple of their type's block: what each has instead.
    """

    types: dict[str, str]
    instead: dict[str, str]


def library() -> ModuleType:
    """The library `gguf`, which only writers of GGUF need."""
    try:
        import gguf
    except ImportError:
        raise UserError(
            "gguf: the library must be installed to write GGUF files; run "
            "`make install FOR=quantize`, or pip install 'headrace[quantize]'"
        ) from None
    return gguf


def gguf_type(kind: str) -> Any:
    """What the library calls a type."""
    return library().GGMLQuantizationType(KINDS[kind])


@cache
def rounder(kind: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function that rounds float32 (rows, K) to a type: of `gguf`, or, where that has none, of
    llama.cpp. They have the same bits where both round.

    Raises :exc:`~host.errors.UserError` where the library is not installed.
    """
    gguf, number = library(), gguf_type(kind)
    try:
        gguf.quantize(np.ones((1, TYPES[number].elements), np.float32), number)
    except NotImplementedError:
        llama_cpp.library()
        return partial(llama_cpp.quantize, number=number)
    return partial(gguf.quantize, qtype=number)


def chosen(kind: str, head: str | None = None) -> tuple[str, str | None]:
    """The types of the layers' matrices, and of the embedding and the head, as they are spelt."""
    library()  # the first thing to install
    spelt = {name.upper(): name for name in (*KINDS, MIXED)}
    for option, name, known in ("--type", kind, (*KINDS, MIXED)), ("--head", head, KINDS):
        if name is not None and spelt.get(name.upper()) not in known:
            raise UserError(f"{option} must be one of {', '.join(known)}, not {brief(name)}")
    return spelt[kind.upper()], head and spelt[head.upper()]


def types_of(content: Content, kind: str, head: str | None) -> Written:
    """What each matrix of a content is to have."""
    matrices = {
        name: its
        for name, its in content.tensors.items()
        if len(its.shape) == 2 and name not in POSITIONS
    }
    layers = content.metadata[f"{content.arch}.block_count"][0]
    asked = {n: wanted(n, kind, head, layers, HEAD not in matrices) for n in matrices}
    types = {n: fitting(asked[n], its.shape[-1]) for n, its in matrices.items()}
    return Written(types=types, instead={n: t for n, t in types.items() if t != asked[n]})


def file_type(kind):
    """The number of `general.file_type`, which says what most matrices are."""
    types, kind = library().LlamaFileType, MIXTURE if kind == MIXED else kind
    for name in f"MOSTLY_{kind}", f"ALL_{kind}", f"MOSTLY_{kind}_S", f"MOSTLY_{kind}_MOE":
        if name in types.__members__:
            return types[name]
    return types.GUESSED


def values(data, kind):
    """The weights, float32 (rows, K), that rows of a type's bytes stand for, as they are read."""
    its = TYPES[KINDS[kind]]
    found = its.decode(data.view(np.uint8).reshape(len(data), -1, its.size))
    return (
        Linear(name="", source="", **vars(found)).float32() if isinstance(found, Codes) else found
    )


def rounded(name, source, kind):
    """The bytes of a tensor in a type."""
    weights = np.ascontiguousarray(source.weights())
    if source.kind == kind and source.raw is not None:
        return source.raw()  # which the reader has checked
    with np.errstate(all="ignore"):  # of blocks of zeros, and of what is refused below
        data = np.ascontiguousarray(rounder(kind)(weights))
        # Scales are mostly half floats, which overflow, if any does, where the largest weight is.
        # Some types saturate there, or leave zeros, as all do where each weight is too small.
        row = np.abs(weights).reshape(-1, weights.shape[-1]).max(1).argmax()
        back = values(data.reshape(-1, data.shape[-1])[row : row + 1], kind)
    largest = np.abs(weights).max()
    if not np.isfinite(back).all() or np.abs(back).max() < largest / LOST:
        raise UserError(
            f"tensor {brief(name)} must have magnitudes that {kind} has, not {largest:.3g}; "
            "choose F32 or BF16"
        )
    return data


def add_metadata(writer, content, kind):
    """Add a content's metadata, and what says how it is rounded."""
    gguf = library()
    about = {
        **content.metadata,
        "general.quantization_version": (VERSION, gguf.GGUFValueType.UINT32, None),
        "general.file_type": (file_type(kind), gguf.GGUFValueType.UINT32, None),
    }
    about.pop("general.architecture", None)  # the writer has it
    for key, (value, type_, inner) in about.items():
        if isinstance(value, (list, np.ndarray)):
            value = list(value) if isinstance(value, list) else value.tolist()
            if not value:  # the library does not write it, and no reader needs it
                continue
        inner = None if inner is None else gguf.GGUFValueType(inner)
        writer.add_key_value(key, value, gguf.GGUFValueType(type_), inner)
    writer.data_alignment = about.get("general.alignment", (writer.data_alignment,))[0]


def write(path, content: Content, kind, head=None, report=lambda done, total: None) -> Written:
    """Write a GGUF file: matrices in `kind`, the embedding and the head in `head`, or in what
    :mod:`.mixture` has for them, gains of norms in F32.

    One tensor is in memory at a time. `report` is told how many are done, and of how many.
    """
    gguf, written = library(), types_of(content, kind, head)
    types = {name: written.types.get(name, "F32") for name in content.tensors}
    for its in set(types.values()):
        rounder(its)  # refuses what is not installed, before a file is begun
    writer = gguf.GGUFWriter(path, content.arch)
    add_metadata(writer, content, kind)
    for name, source in content.tensors.items():
        its = gguf_type(types[name])
        size = int(np.prod(source.shape)) // TYPES[its].elements * TYPES[its].size
        writer.add_tensor_info(name, source.shape, np.dtype(np.float32), size, raw_dtype=its)
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for n, (name, source) in enumerate(content.tensors.items()):
            report(n, len(types))
            writer.write_tensor_data(rounded(name, source, types[name]))
    finally:
        writer.close()
    return written
