"""Registers that a program computes, such as the block of a ring that a position lies in; and when
it asks for weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mapper.compile import compile_model
from mapper.dram_layout import Cache
from mapper.schedule import Target, _Schedule
from mapper.sequencer_registers import COLUMN, KV_BLOCK_AT, KV_LAYER, POSITION
from rtl.spec.config import KV_BLOCK, get
from rtl.spec.isa import Load, MatMul, Scalar, Source, Stream
from rtl.spec.limits import POSITIONS
from sim.models.toy import toy_model
from sw_ref.checks import Bounds
from sw_ref.legal import decoded
from sw_ref.sequencer import Sequencer


SMALL = get("small")
LAYER = 12345  # where a layer's cache begins


def registers(cache, positions):
    """Registers after the instructions for a column's position, for many positions at once."""
    memory = SimpleNamespace(caches={"layer": cache})
    to = Target(SMALL, memory, None, None)
    to.kind = "layer"
    _Schedule(to).position()
    values = dict.fromkeys(range(16), np.zeros(len(positions), np.uint64))
    values |= {
        KV_LAYER: np.full(len(positions), LAYER, np.uint64),
        COLUMN: np.full(len(positions), 3, np.uint64),
        Source.POSITION.value: positions - np.uint64(3),
    }
    for insn in to.asm.insns:
        assert isinstance(insn, Scalar)
        shifted = values[insn.source] >> np.uint64(insn.shift)
        product = shifted * np.uint64(insn.factor) + np.uint64(insn.offset)
        values[insn.rd] = product + values[insn.plus] & np.uint64((1 << 32) - 1)
    return values


@pytest.mark.parametrize("window", [1, 32, 34, 66, 98, 128, 512, 1000, 4096, 32768, 60000])
def test_block_of_a_ring(window):
    """For all positions that there may be."""
    cache = Cache.of(SMALL, 2, POSITIONS, window)
    assert cache.window == window and cache.blocks < POSITIONS // KV_BLOCK
    positions = np.arange(3, POSITIONS, dtype=np.uint64)
    found = registers(cache, positions)
    np.testing.assert_array_equal(found[POSITION], positions)
    blocks = positions // KV_BLOCK % cache.blocks
    np.testing.assert_array_equal(found[KV_BLOCK_AT], LAYER + blocks * SMALL.kv_block_units)


def test_block_of_a_cache_of_all_positions():
    cache = Cache.of(SMALL, 2, POSITIONS, 0)
    positions = np.arange(3, POSITIONS, dtype=np.uint64)
    blocks = positions // KV_BLOCK
    found = registers(cache, positions)[KV_BLOCK_AT]
    np.testing.assert_array_equal(found, LAYER + blocks * SMALL.kv_block_units)


def test_a_ring_of_one_block_would_be_wrong():
    """Its inverse does not fit beside a block's number, so there is none: this is what is seen."""
    cache = Cache(SMALL.kv_block_units, 2 * SMALL.kv_block_units, 1, 1)
    found = registers(cache, np.array([40, POSITIONS - 1], np.uint64))[KV_BLOCK_AT]
    assert found[0] == LAYER != found[1]


@pytest.mark.parametrize("columns", [1, 2])
def test_weights_of_all_layers_are_streamed_once_behind_the_first_gains(columns):
    model, config = toy_model(layers=3), get("wide")
    image = compile_model(model, replace(config, columns=2), context=32)
    insns = decoded(tuple(image.instructions), config.program_words)
    sequencer = Sequencer(insns, Bounds(config, image.memory_units, *image.writable), columns)
    run = [insn for _, insn in sequencer.run((1, 2)[:columns], 0, False)]
    layers = sum(image.report["layer_units"])
    (at,) = (n for n, i in enumerate(run) if isinstance(i, Stream) and i.size == layers)
    gains = [n for n, i in enumerate(run) if isinstance(i, Load)][columns]  # behind the angles
    product = next(n for n, i in enumerate(run) if isinstance(i, MatMul))
    assert gains < at < product
