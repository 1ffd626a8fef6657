"""Matrices of the weight stream: beats, and the cycles that the linear unit's front takes."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from rtl.spec.config import GROUP, UNIT_BYTES, Config
from rtl.spec.formats import FORMATS, WeightFormat
from rtl.spec.sparse_modes import BLOCK

from .hardware import Hardware


__all__ = ["Work", "dense_work", "sparse_work"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a packed matrix is to the linear unit.

    Attributes
    ----------
    units : :class:`int`
        Of DRAM, without its descriptor.
    beats : :class:`int`
    cycles : :class:`float`
        That the front, unpacker, expander and core, takes with beats always there.
    tiles : :class:`int`
        Rows whose sums come at the same time are a tile.
    slices : :class:`int`
        Slices of N rows of a tile.
    """

    units: int
    beats: int
    cycles: float
    tiles: int
    slices: int


def _steps(fmt: WeightFormat, hardware: Hardware, mode=None) -> int:
    """Cycles of the core for a step, or of the expander before it."""
    if FORMATS[fmt].step_format in hardware.native:
        return (
            hardware.passes(FORMATS[fmt].step_format, *() if mode is None else (mode,))
            / hardware.parts
        )
    return FORMATS[fmt].step_slices(mode)


def dense_work(
    fmt: WeightFormat, rows: int, groups: int, config: Config, hardware: Hardware
) -> Work:
    """Of a matrix in blocks of rows.

    The unpacker takes a beat a cycle. A step that has no beat, the last of a gear, takes a cycle of
    its own, unless the beat of scales that is next comes with it; so does the second step of a beat
    that is two. The core takes a step in as many passes as it needs, or the expander cuts it.
    """
    its: Any = FORMATS[fmt]
    blocks = -(-rows // config.block_rows)
    of_block = its.block_beats(groups, config.word_bytes) * config.parts
    of_tile = groups * its.steps_per_group
    steps = its.tiles * of_tile
    spare = its.tiles * (of_tile // its.gear) if its.gear else 0
    if its.scale_run and its.gear and its.scale_run % its.gear == 0:
        spare -= steps // its.scale_run
    twice = steps // 2 if its.step_format != fmt else 0
    unpack = of_block + (spare + twice) * config.parts
    core = steps * _steps(fmt, hardware) * config.parts
    units = -(-blocks * of_block * config.beat_bytes // UNIT_BYTES)
    return Work(
        units,
        units * config.unit_beats,
        blocks * max(unpack, core),
        blocks * its.tiles,
        its.tile_slices,
    )


def sparse_work(
    fmt: WeightFormat, rows: int, groups: int, data, config: Config, hardware: Hardware
) -> Work:
    """Of a matrix in stripes, whose blocks `data`, which begins with it, has.

    A header takes a cycle besides its beat, in which the first block is found. Where the core, or
    the expander, takes longer than its beats, it does not wait for headers and row scales.
    """
    its: Any = FORMATS[fmt]
    modes, beats, stripes = Counter(), 0, 0
    for stripe, _, mode, at in its.walk(data, rows, groups, config.word_bytes):
        stripes, beats = stripe, at
        if mode is not None:
            modes[mode] += 1
    headers = beats - 4 * stripes - sum(its.beats_of(mode) * n for mode, n in modes.items())
    core = sum(
        count * max(its.beats_of(mode), its.code_beats(mode) * _steps(fmt, hardware, mode))
        for mode, count in modes.items()
    )
    units = -(-beats * config.word_bytes // UNIT_BYTES)
    return Work(
        units, units * config.unit_beats, max(beats + headers, core) * config.parts, stripes, BLOCK
    )


assert GROUP % BLOCK == 0
