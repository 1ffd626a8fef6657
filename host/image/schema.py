"""Metadata of a program image: the fields, their types and ranges, and how they must agree.

Metadata comes out of a file, so nothing is allocated, computed or printed from it before
:func:`decode` has checked all of it. :func:`encode` checks it as well, so what is written loads.
"""

import re
from dataclasses import fields
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from rtl.spec.config import KV_BLOCK, PATTERNS, UNIT_BYTES, Config
from rtl.spec.dram import Dram
from rtl.spec.isa import INSTRUCTION_BYTES, WeightFormat
from rtl.spec.limits import HEADS, INNER, POSITIONS, PROGRAM_WORDS, ROWS, STREAM, UNITS


__all__ = [
    "FORMAT_VERSION",
    "About",
    "SchemaError",
    "check_version",
    "configuration",
    "decode",
    "encode",
    "line",
]


# Types that are made of other files' declarations, which checkers take for variables.
# pyright: reportInvalidTypeForm=false

FORMAT_VERSION = 6

Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=1000)]
NodeName = Annotated[str, Meta(pattern=r"^[ -~]{1,200}\Z")]
Format = Literal[tuple(f.name for f in WeightFormat)]
Pattern = Literal[PATTERNS]
Unit = Annotated[int, Meta(ge=0, le=UNITS)]  # DRAM address, in units of 64 bytes
Count = Annotated[int, Meta(ge=0, le=1 << 48)]
Positive = Annotated[int, Meta(ge=1, le=1 << 48)]
Amount = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Token = Annotated[int, Meta(ge=0, lt=ROWS)]
Index = Annotated[int, Meta(ge=1, le=PROGRAM_WORDS)]  # end of a range of instructions


class SchemaError(ValueError):
    """Metadata is not that of an image. The message says all but the file's name, in one line."""


class Part(Struct, forbid_unknown_fields=True, frozen=True):
    """Fields of the metadata, none but these."""


class Model(Part, frozen=True):
    """What was compiled; see :class:`mapper.model.Model`.

    `kv_blocks` has, of layers that follow each other, how many they are, how many blocks of
    positions each head's cache has, and the window that these are a ring for, or 0.
    """

    name: str
    sha256: Sha256
    eos: Annotated[list[Token], Meta(max_length=1000)]
    bos: Token | None
    layers: Annotated[int, Meta(ge=1, le=4096)]
    hidden: Annotated[int, Meta(ge=1, le=INNER)]
    kv_heads: Annotated[int, Meta(ge=1, le=HEADS)]
    kv_blocks: Annotated[list[tuple[Positive, Positive, Count]], Meta(max_length=4096)]
    logit_cap: Annotated[float, Meta(ge=0)]


class Tokenizer(Part, frozen=True):
    """What :meth:`host.language.tokenizer.Tokenizer.from_json` needs, which checks the JSON
    itself.
    """

    json: str
    chat_template: str | None


class Error(Part, frozen=True):
    """Relative RMS error of the machine's scales, over the layers."""

    mean: Amount
    max: Amount


class Tensor(Part, frozen=True):
    """A tensor of the file; see :func:`mapper.report.add_tensors`."""

    name: Name
    type: Name
    format: Format
    file_bytes: Count
    dram_bytes: Count
    error: Amount
    rounding: Amount | UnsetType = UNSET
    reason: Name | UnsetType = UNSET


class Head(Part, frozen=True):
    """A head that was rounded again; see :class:`mapper.head.HeadReport`."""

    tensor: Name
    source: Name
    format: Format
    instead_of: Format
    error: Amount
    bytes: Positive
    bytes_before: Positive


class Operation(Part, frozen=True):
    """A matrix, all layers together; see :mod:`mapper.report`."""

    operation: Name
    format: Format
    rows: Positive
    depth: Positive
    times: Positive
    cycles: Count
    bytes: Count
    bits_per_weight: Amount
    density: Share | UnsetType = UNSET
    blocks: Annotated[dict[str, Count], Meta(max_length=16)] | UnsetType = UNSET


class Report(Part, frozen=True):
    """Sizes and cycles; see :func:`mapper.report.report`."""

    configuration: Name
    program_instructions: Positive
    program_bytes: Positive
    weight_bytes: Positive
    kv_cache_bytes: Positive
    memory_bytes: Positive
    vector_words: Positive
    estimated_cycles_per_token: Positive
    layers_bits_per_weight: Amount
    layer_units: Annotated[list[Annotated[int, Meta(ge=1, le=STREAM)]], Meta(max_length=4096)]
    scale_error: Annotated[dict[str, Error], Meta(max_length=100)]
    operations: Annotated[list[Operation], Meta(max_length=100)]
    bytes_per_token: Positive
    file_bytes: Count
    tensors: Annotated[list[Tensor], Meta(max_length=100_000)]
    head: Head | UnsetType = UNSET


def _part(kind, **types):
    """The fields of a dataclass, all of which must be there; some of other types."""
    return msgspec.defstruct(
        kind.__name__,
        [(f.name, types.get(f.name, f.type)) for f in fields(kind)],
        bases=(Part,),
        kw_only=True,
        frozen=True,
    )


Accelerator = _part(Config, dram=_part(Dram))


class About(Part, frozen=True):
    """All of the metadata; the fields are those of :class:`host.image.image.Image`."""

    format: Literal[FORMAT_VERSION]
    memory_units: Unit
    writable: tuple[Unit, Unit]
    program: Unit
    length: Index
    nodes: Annotated[list[tuple[NodeName, Index]], Meta(max_length=PROGRAM_WORDS)]
    digest: Digest
    config: Name
    accelerator: Accelerator
    formats: Annotated[list[Format], Meta(min_length=1, max_length=16)]
    patterns: Annotated[list[Pattern], Meta(max_length=16)]
    context: Annotated[int, Meta(ge=1, le=POSITIONS)]
    vocab: Annotated[int, Meta(ge=1, le=ROWS)]
    weight_bytes: Positive
    model: Model
    tokenizer: Tokenizer
    report: Report


class Version(Struct):
    """The one field that every format has."""

    format: int


def configuration(accelerator):
    """The :class:`~rtl.spec.config.Config` of its values. Raises :exc:`ValueError` for what is
    none.
    """
    values = msgspec.to_builtins(accelerator)
    return Config(
        **values
        | {
            "dram": Dram(**values["dram"]),
            "formats": tuple(values["formats"]),
            "patterns": tuple(values["patterns"]),
        }
    )


def _relations(about, memory_bytes):
    """Yield what must hold between fields, and what to call it: pairs of a bool and a text."""
    model, report = about.model, about.report
    first, end = about.writable
    most = -(-about.context // KV_BLOCK)
    blocks = model.kv_heads * sum(layers * each for layers, each, _ in model.kv_blocks)
    tokens = [*model.eos, *([] if model.bos is None else [model.bos])]

    yield memory_bytes % UNIT_BYTES == 0, f"memory must be units of {UNIT_BYTES} bytes"
    yield first * UNIT_BYTES == memory_bytes, "writable must begin where memory ends"
    yield first <= end == about.memory_units, "writable must end where memory_units do"
    try:
        config = configuration(about.accelerator)
    except ValueError as error:
        yield False, f"accelerator must be a configuration: {line(error)}"
    yield config.name == about.config, "accelerator.name must be config"
    yield config.digest == about.digest, "digest must be the accelerator's"
    yield (
        end - first == blocks * config.kv_block_units,
        "writable must be the KV cache of model.kv_blocks and model.kv_heads",
    )
    yield (
        sum(layers for layers, *_ in model.kv_blocks) == model.layers,
        "model.kv_blocks must be those of model.layers",
    )
    yield (
        all(
            each == most or window and window < each * KV_BLOCK < most * KV_BLOCK
            for _, each, window in model.kv_blocks
        ),
        "model.kv_blocks must be those of the context, or of a window",
    )
    yield (
        about.program * UNIT_BYTES + about.length * INSTRUCTION_BYTES <= memory_bytes,
        "program and length must lie within memory",
    )
    ends = [0, *(end for _, end in about.nodes)]
    yield (
        all(a < b for a, b in zip(ends, ends[1:])) and ends[-1] in (0, about.length),
        "nodes must be ranges of instructions, one behind the other, up to length",
    )
    yield len(set(about.formats)) == len(about.formats), "formats must differ from each other"
    yield len(set(about.patterns)) == len(about.patterns), "patterns must differ from each other"
    yield (
        all(token < about.vocab for token in tokens),
        "model.eos and model.bos must be below vocab",
    )

    yield report.configuration == about.config, "report.configuration must be config"
    yield report.program_instructions == about.length, "report.program_instructions must be length"
    yield (
        report.program_bytes == about.length * INSTRUCTION_BYTES,
        "report.program_bytes must be those of length",
    )
    yield report.weight_bytes == about.weight_bytes, "report.weight_bytes must be weight_bytes"
    yield (
        report.bytes_per_token == about.weight_bytes,
        "report.bytes_per_token must be weight_bytes",
    )
    yield (
        report.file_bytes == sum(tensor.file_bytes for tensor in report.tensors),
        "report.file_bytes must be those of report.tensors",
    )
    yield (
        report.memory_bytes == about.memory_units * UNIT_BYTES,
        "report.memory_bytes must be those of memory_units",
    )
    yield (
        report.kv_cache_bytes == (end - first) * UNIT_BYTES,
        "report.kv_cache_bytes must be those of writable",
    )
    yield len(report.layer_units) == model.layers, "report.layer_units must be one for each layer"
    yield sum(report.layer_units) <= first, "report.layer_units must lie within memory"
    # The block of the token's embedding counts once more where the head is the embedding.
    yield about.weight_bytes <= 2 * memory_bytes, "weight_bytes must be those of memory"


def line(error):
    """A library's message as one printable line: ``field: Expected ..., got ...``."""
    text, _, where = str(error).partition(" - at `$.")
    text = f"{where.removesuffix('`')}: {text}" if where else text
    return re.sub(r"[^ -~]", "?", text)[:300]


def _typed(text, kind):
    """JSON as a structure, or :exc:`SchemaError`."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise SchemaError(
            f"image metadata is not of format {FORMAT_VERSION}: {line(error)}. "
            "Compile the model again"
        ) from None


def check_version(text):
    """Refuse metadata of another format."""
    version = _typed(text, Version).format
    if version != FORMAT_VERSION:
        raise SchemaError(
            f"expected image format {FORMAT_VERSION}, found {version}. Compile the model again"
        )


def decode(text, memory_bytes):
    """Check metadata, JSON, of an image whose memory has so many bytes.

    Returns the fields of :class:`About` but `format`: a dictionary of dictionaries, lists and
    tuples. Raises :exc:`SchemaError` for another format, for a field that is missing, unknown, of
    another type or out of range, and for fields that do not agree.
    """
    check_version(text)
    about = _typed(text, About)
    for holds, what in _relations(about, memory_bytes):
        if not holds:
            raise SchemaError(f"image metadata does not agree: {what}. Compile the model again")
    fields = msgspec.to_builtins(about)
    del fields["format"]
    return fields


def encode(fields, memory_bytes):
    """JSON of a dictionary of fields. Refuses what :func:`decode` would."""
    try:
        text = msgspec.json.encode({"format": FORMAT_VERSION, **fields})
    except UnicodeError:
        raise SchemaError("the model's name and tokenizer must be Unicode text") from None
    decode(text, memory_bytes)
    return text.decode()
