"""Every tensor type, compared with the library `gguf` bit by bit; new types are found."""

from dataclasses import replace

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES

from mapper.model import Linear
from mapper.read.gguf_types import REFUSED, TYPES, Codes
from mapper.read.gguf_types.block_type import block_type
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from ..gguf_blocks import dequantize


DEPTH = 512
ALL = pytest.mark.parametrize("its", TYPES.values(), ids=lambda its: its.name)


def edges(its, rng):
    """Blocks (rows, blocks, bytes): random bytes, each byte everywhere, and, in both of these,
    zeros where types have scales."""
    shape = DEPTH // its.elements, its.size
    blocks = np.concatenate(
        [
            rng.integers(0, 256, (256, *shape), np.uint8),
            np.arange(256, dtype=np.uint8)[:, None, None].repeat(shape[0], 1).repeat(shape[1], 2),
        ]
    )
    first, last = blocks[::2].copy(), blocks[::2].copy()
    first[..., :2], last[..., -2:] = 0, 0
    return np.concatenate([blocks, first, last])


def weights_of(its, found):
    """What was kept, or would be rounded, as float32."""
    if not isinstance(found, Codes):
        return found
    return Linear(name="w", source=its.name, **vars(found)).float32()


def same(its, blocks):
    """Compare blocks of which the library makes finite numbers. Returns how many there are."""
    with np.errstate(all="ignore"):
        expected = dequantize(blocks.reshape(len(blocks), -1), its.number)
        found = weights_of(its, its.decode(blocks))
    finite = np.isfinite(expected).reshape(len(blocks), -1, its.elements).all(-1)
    chosen = finite.repeat(its.elements, 1)
    assert found.dtype == expected.dtype == np.float32
    np.testing.assert_array_equal(found[chosen], expected[chosen])
    return finite.sum()


@ALL
def test_as_the_library(its):
    blocks = edges(its, np.random.default_rng(its.number))
    assert same(its, blocks) > 0.8 * blocks.shape[0] * blocks.shape[1]


@ALL
def test_a_mistake_is_found(its):
    """Bytes in other places: the comparison can fail."""

    def wrong(blocks):
        return its.decode(np.roll(blocks, 1, -1))

    with pytest.raises(AssertionError):
        same(replace(its, decode=wrong), edges(its, np.random.default_rng(1)))


@ALL
def test_sizes(its):
    kind = gguf.GGMLQuantizationType(its.number)
    assert (its.name, (its.elements, its.size)) == (kind.name, GGML_QUANT_SIZES[kind])


@ALL
def test_format(its):
    """What a type says of its tensors beforehand is what becomes of them."""
    blocks = np.zeros((2, DEPTH // its.elements, its.size), np.uint8)
    found = its.decode(blocks)
    if isinstance(found, Codes):
        assert found.format == its.format(blocks)
        assert found.codes.shape == (2, DEPTH)
        group = DEPTH if found.format == WeightFormat.TERNARY else FORMATS[found.format].group
        assert found.d.shape == (2, DEPTH // group)
    else:
        assert its.format(blocks) == WeightFormat.S8 and found.shape == (2, DEPTH)


def test_all_numbers_have_names():
    known = {kind.value: kind.name for kind in gguf.GGMLQuantizationType}
    assert {n: its.name for n, its in TYPES.items()} | REFUSED == known
    assert not TYPES.keys() & REFUSED.keys()


def test_numbers_differ():
    with pytest.raises(ValueError, match="Types must differ in their numbers, 0 is there already"):
        block_type(0, elements=1, size=4)(lambda blocks: blocks)


@pytest.mark.parametrize("name", ["TQ1_0", "TQ2_0"])
def test_ternary(name):
    """A row of one scale, and of zeros, has the machine's own form; others are exact, too."""
    its = next(its for its in TYPES.values() if its.name == name)
    rng = np.random.default_rng(5)
    weights = rng.integers(-1, 2, (6, 1024)) * np.float32([[0.5], [1], [2], [0.25], [4], [1]])
    weights[:, 256:512] = 0
    weights[5] = 0

    def kept(weights):
        raw = gguf.quantize(weights.astype(np.float32), gguf.GGMLQuantizationType(its.number))
        found = its.decode(raw.reshape(len(weights), -1, its.size))
        np.testing.assert_array_equal(weights_of(its, found), weights)
        return found

    assert kept(weights).format == WeightFormat.TERNARY
    assert kept(-weights).format == WeightFormat.TERNARY
    weights[2, :256] *= 2
    assert kept(weights).format == WeightFormat.S8


def test_ternary_with_scales_of_zero():
    """Codes beside a scale of 0 are zeros, whatever they are."""
    its = next(its for its in TYPES.values() if its.name == "TQ2_0")
    codes = np.random.default_rng(3).integers(0, 3, (4, 2, 64, 4), np.uint8)
    blocks = np.zeros((4, 2, 66), np.uint8)
    blocks[..., :64] = (codes << np.arange(0, 8, 2, dtype=np.uint8)).sum(-1)
    blocks[..., 64:] = np.array([0.5], "<f2").view(np.uint8)
    blocks[1, 0, 64:] = 0
    found = its.decode(blocks)
    assert found.format == WeightFormat.TERNARY and not found.codes[1, :256].any()
    assert same(its, blocks) == 8


# Where the second of two groups of 16 has its scale and minimum, and the first.
SCALES = {
    "Q2_K": [(slice(1, 16, 2), slice(0, 16, 2))],
    "Q3_K": [(slice(97, 104, 2), slice(96, 104, 2)), (slice(105, 108, 2), slice(104, 108, 2))],
}
PAIRED = pytest.mark.parametrize("name, kept", [("Q2_K", "U2"), ("Q3_K", "U3")])


def paired(name):
    """The type, and blocks whose groups of 16 have the same scales two by two."""
    its = next(its for its in TYPES.values() if its.name == name)
    blocks = edges(its, np.random.default_rng(its.number))
    for second, first in SCALES[name]:
        blocks[..., second] = blocks[..., first]
    return its, blocks


@PAIRED
def test_groups_of_16_that_are_paired_keep_their_codes(name, kept):
    its, blocks = paired(name)
    with np.errstate(all="ignore"):
        found = its.decode(blocks)
    assert isinstance(found, Codes) and found.format == its.format(blocks) == WeightFormat[kept]
    assert len(np.unique(found.codes)) == {"U2": 4, "U3": 8}[kept]
    assert same(its, blocks) > 0.8 * blocks.shape[0] * blocks.shape[1]


@PAIRED
@np.errstate(all="ignore")
def test_one_bit_of_one_scale_decides(name, kept):
    """Of a whole tensor: every bit of the last block's scales."""
    its, blocks = paired(name)
    blocks = blocks[:2]
    weights = weights_of(its, its.decode(blocks))
    for second, _ in SCALES[name]:
        for byte in range(its.size)[second]:
            for bit in range(8):
                other = blocks.copy()
                other[-1, -1, byte] ^= 1 << bit
                found = its.decode(other)
                wider = {"Q2_K": WeightFormat.S8, "Q3_K": WeightFormat.S6}[name]
                assert its.format(other) == wider
                assert isinstance(found, Codes) == (wider == WeightFormat.S6)
                found = weights_of(its, found)
                assert (found != weights).any() and (found[0] == weights[0]).all()
