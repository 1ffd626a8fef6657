"""Matrices of the weight stream: beats, and the cycles that the linear unit's front takes."""

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
    payload : :class:`int`
        Slices whose sums come in one cycle.
    """

    units: int
    beats: int
    cycles: float
    tiles: int
    slices: int
    payload: int


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
    that is two. Those of TERNARY may pass beside the others, and cost none. Where a step has parts,
    the beats of the next word come meanwhile. The core takes a step in as many passes as it needs,
    or the expander cuts it.
    """
    its: Any = FORMATS[fmt]
    blocks = -(-rows // config.block_rows)
    of_block = its.block_beats(groups, config.word_bytes) * config.parts
    of_tile = groups * its.steps_per_group
    steps = its.tiles * of_tile
    beside = of_tile - its.cycles(groups, config.aside)  # cost no cycle
    spare = its.tiles * (of_tile // its.gear - beside) if its.gear else 0
    if its.scale_run and its.gear and its.scale_run % its.gear == 0:
        spare -= steps // its.scale_run
    twice = steps // 2 if its.step_format != fmt else 0
    unpack = of_block + spare + twice if config.parts == 1 else max(of_block, steps * config.parts)
    core = (steps - its.tiles * beside) * _steps(fmt, hardware) * config.parts
    units = -(-blocks * of_block * config.beat_bytes // UNIT_BYTES)
    return Work(
        units,
        units * config.unit_beats,
        blocks * max(unpack, core),
        blocks * its.tiles,
        its.tile_slices,
        hardware.payload(fmt),
    )


def sparse_work(
    fmt: WeightFormat, rows: int, groups: int, data, config: Config, hardware: Hardware
) -> Work:
    """Of a matrix in stripes, whose blocks `data`, which begins with it, has.

    A header takes a cycle besides its beat, in which the first block is found. Row scales, headers
    and indices are no steps: the core, or the expander, goes on meanwhile with those that wait.
    """
    its: Any = FORMATS[fmt]
    costs: dict = {}  # beats, code beats, cycles of each, by mode
    stripe = beats = blocks = 0
    taken = done = 0.0  # beats, and the core with their steps
    ahead = hardware.steps_ahead
    for its_stripe, block, mode, at in its.walk(data, rows, groups, config.word_bytes):
        # Between blocks, and behind the last, there are but headers and row scales.
        if mode is None:
            stripe, beats = its_stripe, at
            break
        cost = costs.get(mode)
        if cost is None:
            cost = its.beats_of(mode), its.code_beats(mode), _steps(fmt, hardware, mode)
            costs[mode] = cost
        of_block, codes, steps = cost
        between = at - beats
        headers = between - 4 * (its_stripe != stripe or not blocks)
        taken += between + headers
        stripe, beats, blocks = its_stripe, at + of_block, blocks + 1
        first = taken + (of_block > codes)  # behind an index
        done = max(max(done, first) + codes * steps, taken + of_block - 1 + steps)
        taken = max(taken + of_block, done - ahead * steps + 1)
    units = -(-beats * config.word_bytes // UNIT_BYTES)
    cycles = max(taken, done) * config.parts
    return Work(units, units * config.unit_beats, cycles, stripe, BLOCK, hardware.payload(fmt))


assert GROUP % BLOCK == 0
