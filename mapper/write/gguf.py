"""Write GGUF files, through the field's library of the same name."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from host.errors import UserError

from ..read.bounds import brief
from ..read.gguf_types import TYPES
from .content import Content


__all__ = ["Written", "chosen", "kinds", "write"]


VOCABULARY = ("token_embd.weight", "output.weight")
FLOATS = ("F32", "F16", "BF16")
VERSION = 2  # of ggml's blocks, `general.quantization_version`


@dataclass(frozen=True, kw_only=True)
class Written:
    """The types of a file's matrices.

    Attributes
    ----------
    matrices : :class:`int`
        How many there are.
    instead : :class:`dict` of :class:`str` to :class:`str`
        Of those whose rows are no multiple of their type's block: what each has instead.
    """

    matrices: int
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


def kinds() -> dict[str, Any]:
    """Types that the library rounds to and the reader reads, by name."""
    gguf, found = library(), {}
    for kind in gguf.GGMLQuantizationType:
        if kind not in TYPES:
            continue
        block = np.ones((1, TYPES[kind].elements), np.float32)
        try:
            gguf.quantize(block, kind)
        except NotImplementedError:
            continue
        found[kind.name] = kind
    return found


def chosen(kind: str, head: str | None = None) -> tuple[Any, Any]:
    """The types of the layers' matrices, and of the embedding and the head.

    llama-quantize rounds a head, and an embedding that is one too, more finely than layers: to
    Q6_K for most types. The library does not write that, so this takes Q8_0, for every embedding,
    unless the layers are floats.
    """
    known = kinds()
    if head is None:
        head = kind if kind.upper() in FLOATS else "Q8_0"
    for option, name in ("--type", kind), ("--head", head):
        if name.upper() not in known:
            raise UserError(f"{option} must be one of {', '.join(known)}, not {brief(name)}")
    return known[kind.upper()], known[head.upper()]


def fitting(kind, depth):
    """The type for rows of `depth`: `kind`, or where its blocks do not fit, Q8_0 or F16."""
    types = library().GGMLQuantizationType
    for its in (kind, types.Q8_0, types.F16):
        if depth % TYPES[its].elements == 0:
            return its
    raise AssertionError("a block of F16 has one element")


def file_type(kind):
    """The number of `general.file_type`, which says what most matrices are."""
    types = library().LlamaFileType
    for name in f"MOSTLY_{kind.name}", f"ALL_{kind.name}", f"MOSTLY_{kind.name}_MOE":
        if name in types.__members__:
            return types[name]
    return types.GUESSED


def rounded(name, source, kind):
    """The bytes of a tensor in a type."""
    gguf, weights = library(), np.ascontiguousarray(source.weights())
    if source.kind == kind.name and source.raw is not None:
        return source.raw()  # which the reader has checked
    with np.errstate(all="ignore"):  # of blocks of zeros, and of what is refused below
        data = np.ascontiguousarray(gguf.quantize(weights, kind))
        # Scales are half floats, which may overflow, if any does, where the largest weight is.
        row = np.abs(weights).reshape(-1, weights.shape[-1]).max(1).argmax()
        back = gguf.dequantize(data.reshape(-1, data.shape[-1])[row : row + 1], kind)
    if not np.isfinite(back).all():
        raise UserError(
            f"tensor {brief(name)} must have magnitudes that {kind.name} has, not "
            f"{np.abs(weights).max():.3g}; choose F32 or BF16"
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


def write(path, content: Content, kind, head, report=lambda done, total: None) -> Written:
    """Write a GGUF file: matrices in `kind`, the embedding and the head in `head`, gains of norms
    in F32.

    One tensor is in memory at a time. `report` is told how many are done, and of how many.
    """
    gguf, types, instead, matrices = library(), {}, {}, 0
    for name, source in content.tensors.items():
        if len(source.shape) != 2:
            types[name] = gguf.GGMLQuantizationType.F32
            continue
        wanted, matrices = head if name in VOCABULARY else kind, matrices + 1
        types[name] = fitting(wanted, source.shape[-1])
        if types[name] != wanted:
            instead[name] = types[name].name
    writer = gguf.GGUFWriter(path, content.arch)
    add_metadata(writer, content, kind)
    for name, source in content.tensors.items():
        its = TYPES[types[name]]
        size = int(np.prod(source.shape)) // its.elements * its.size
        writer.add_tensor_info(
            name, source.shape, np.dtype(np.float32), size, raw_dtype=types[name]
        )
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for n, (name, source) in enumerate(content.tensors.items()):
            report(n, len(types))
            writer.write_tensor_data(rounded(name, source, types[name]))
    finally:
        writer.close()
    return Written(matrices=matrices, instead=instead)
