"""Report: sizes of an image, and the least cycles of each operation of a decode step."""

import math
from collections import Counter
from dataclasses import dataclass, field

from rtl.spec.config import GROUP, UNIT_BYTES
from rtl.spec.formats import FORMATS, WeightFormat
from rtl.spec.isa import INSTRUCTION_BYTES
from rtl.spec.numbers import TILES, UNIT_WORDS
from rtl.spec.sparse_modes import BLOCK, MODES, SLOTS, Mode

from .plan import Matrix


__all__ = ["Tally", "add_tensors", "block_modes", "report"]


PATTERNS = {Mode.ZERO: "0:16", **{mode: name for name, mode in MODES.items()}, Mode.DENSE: "16:16"}


@dataclass(kw_only=True)
class Tally:
    """What a matrix turns out to be once it is packed, of all layers that have it in a format.

    Attributes
    ----------
    matrix : :class:`~mapper.plan.Matrix`
    format : :class:`~rtl.spec.isa.WeightFormat`
    times : :class:`int`
        Layers so far.
    size : :class:`int`
        Bytes in the weight stream, descriptors included.
    steps : :class:`int`
        Cycles that the core is busy with it at least.
    nonzero : :class:`int`
        Weights that are not zero, in formats with a zero of their own.
    blocks : :class:`~collections.Counter`
        Blocks of a sparse matrix, by pattern.
    errors : list of :class:`float`
        Relative RMS error against the file's own scales, per layer.
    """

    matrix: Matrix
    format: WeightFormat
    times: int = 0
    size: int = 0
    steps: int = 0
    nonzero: int = 0
    blocks: Counter = field(default_factory=Counter)
    errors: list = field(default_factory=list)

    @property
    def weights(self):
        """Number of weights."""
        return self.matrix.rows * self.matrix.groups * GROUP * self.times

    def add(self, config, packed):
        """Count one layer's, :class:`~mapper.pack_matrix.PackedMatrix`."""
        fmt, its = self.format, FORMATS[self.format]
        self.times += 1
        self.size += packed.size
        self.errors.append(packed.error_of())
        self.nonzero += packed.nonzero
        if its.sparse:
            self.blocks.update({PATTERNS[mode]: count for mode, count in packed.modes.items()})
            self.steps += sum(
                count * _block_steps(config, fmt, mode) for mode, count in packed.modes.items()
            )
        else:
            tiles = -(-self.matrix.rows // config.block_rows) * its.tiles
            expanded = 1 if fmt in config.native else its.step_slices()
            self.steps += tiles * self.matrix.groups * its.steps_per_group * expanded

    def row(self, config):
        """What the report says of it."""
        about = {
            "operation": self.matrix.name,
            "format": self.format.name,
            "rows": self.matrix.rows,
            "depth": self.matrix.groups * GROUP,
            "times": self.times,
            "cycles": max(self.size // config.beat_bytes, self.steps),
            "bytes": self.size,
            "bits_per_weight": 8 * self.size / self.weights,
        }
        if not FORMATS[self.format].scaled:
            about["density"] = self.nonzero / self.weights
        if self.blocks:
            about["blocks"] = {name: self.blocks[name] for name in PATTERNS.values()}
        return about


def block_modes(its, linear, raw, word_bytes):
    """How many blocks of rows that were packed to `raw`, in the format `its`, have which mode."""
    walked = its.walk(raw, linear.rows, linear.depth // GROUP, word_bytes)
    found = Counter(mode for *_, mode, _ in walked if mode is not None)
    stripes = -(-linear.rows // its.rows_apart(word_bytes))
    found[Mode.ZERO] = stripes * linear.depth // BLOCK - found.total()
    return found


def _block_steps(config, fmt, mode):
    """Cycles that a core needs for a block: one for each row of a lane of a code beat, or for four.

    A chain that serves two lanes has half as many multipliers as a beat of 4-bit codes has slots,
    and does but dense blocks in two passes.
    """
    if not SLOTS[mode]:
        return 0
    beats, rows = FORMATS[fmt].code_beats(mode), FORMATS[fmt].step_slices(mode)
    if fmt not in config.native:
        return beats * rows
    twice = FORMATS[fmt].code_bits == 4 and config.rows > 1 and mode != Mode.DENSE
    return beats * max(-(-rows // TILES), 1 + twice)


def add_tensors(found, matrix, linears, packed):
    """Add what the report says of a packed matrix's tensors: `packed` is its
    :class:`~mapper.pack_matrix.PackedMatrix`.

    `found` has dictionaries by the tensors' names: `name` and `type` in the file, `format`, bytes
    in the file and in DRAM, `error`, the relative RMS difference to the file's weights, and, where
    those were rounded to other codes, `rounding`, what that alone costs, and `reason`. Rounding,
    and bringing scales to integers, are taken as independent; parts of a tensor count by their
    rows.
    """
    at = 0
    for name, start, end in matrix.parts:
        linear, rows, rounding = linears[name], end - start, packed.rounding(name)
        its = found.setdefault(
            linear.name,
            {
                "name": linear.name,
                "type": linear.source,
                "format": linear.format.name,
                "file_bytes": linear.file_bytes,
                "dram_bytes": 0,
                "error": 0.0,
            },
        )
        error = math.hypot(packed.error_of(slice(at, at + rows)), rounding or 0.0)
        its["error"] = math.hypot(its["error"], error * math.sqrt(rows / linear.rows))
        its["dram_bytes"] += (
            packed.size * (at + rows) // matrix.rows - packed.size * at // matrix.rows
        )
        if rounding is not None:
            its |= {"rounding": rounding, "reason": linear.reason or "as asked for"}
        at += rows


def _errors(tallies):
    """Relative RMS error of each matrix, by name: the mean over the layers, and the most."""
    found = {}
    for tally in tallies:
        found.setdefault(tally.matrix.name, []).extend(tally.errors)
    return {
        name: {"mean": sum(errors) / len(errors), "max": max(errors)}
        for name, errors in found.items()
    }


def report(config, model, memory, vector, packed, program):
    """`packed` is the :class:`~mapper.pack.Packed` of the layers' matrices and of the head.

    Returns sizes in bytes and cycles, as a JSON-ready dictionary. Cycles of operations are a bound,
    a beat of weights or a step of the core each; what a step takes, :mod:`.estimate` finds of the
    whole image.
    """
    tallies = packed.tallies
    operations = [tally.row(config) for tally in tallies]
    size = memory.embed_units * UNIT_BYTES
    operations.append(
        {
            "operation": "embedding",
            "format": memory.embed_format.name,
            "rows": UNIT_WORDS,
            "depth": model.hidden,
            "times": 1,
            "cycles": size // config.beat_bytes,
            "bytes": size,
            "bits_per_weight": 8 * size / (UNIT_WORDS * model.hidden),
        }
    )
    layers = [t for t in tallies if t.matrix.name != "head"]
    return {
        "configuration": config.name,
        "program_instructions": len(program.insns),
        "program_bytes": len(program.insns) * INSTRUCTION_BYTES,
        "weight_bytes": memory.weight_units * UNIT_BYTES,
        "kv_cache_bytes": (memory.end - memory.image_units) * UNIT_BYTES,
        "memory_bytes": memory.end * UNIT_BYTES,
        "vector_words": vector.words,
        "layers_bits_per_weight": 8 * sum(t.size for t in layers) / sum(t.weights for t in layers),
        "layer_units": memory.layer_units,
        "scale_error": _errors(tallies),
        "bytes_per_token": memory.weight_units * UNIT_BYTES,
        "file_bytes": sum(its["file_bytes"] for its in packed.tensors),
        "tensors": packed.tensors,
        "operations": operations,
    }
