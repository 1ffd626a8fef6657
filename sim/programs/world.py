"""Data of random programs: numbers, matrices of all formats, and a KV cache."""

from copy import copy
from dataclasses import dataclass

import numpy as np

from host.image.image import Image
from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.descriptor import described
from rtl.spec.formats import FORMATS, SPARSE, WeightFormat, pack
from rtl.spec.limits import CENTRE, GROUPS, POSITIONS
from rtl.spec.numbers import UNIT_WORDS
from rtl.spec.sparse_modes import BLOCK

from ..harness.patterns import EDGES, floats, pattern


__all__ = ["Matrix", "World", "image"]


CACHE_BLOCKS = 6  # of KV, of one head
SHAPES = [(16, 1), (1, 1), (3, 2), (40, 2), (17, 3), (70, 4), (64, 5)]  # rows, groups
BEFORE, BEHIND = 7, 20  # units of DRAM that surround what may be written
EDGE = 0.1  # how often a number is one at which a definition changes


@dataclass(frozen=True)
class Matrix:
    """A packed matrix: where it lies, its descriptor included, and what a program must say of it.
    `addr` and `units` are of DRAM.
    """

    format: WeightFormat
    rows: int
    groups: int
    addr: int
    units: int


def _codes(rng, fmt, rows, depth):
    """Codes of a format, at random; with blocks of all kinds where it is sparse."""
    its = FORMATS[fmt]
    if not its.sparse:
        return rng.integers(its.low, its.high + 1, (rows, depth)).astype(its.dtype)
    codes = rng.integers(1, its.high + 1, (rows, depth)) * rng.choice((-1, 1), (rows, depth))
    keep = np.zeros((rows, depth), bool)
    kept = rng.choice((0, 2, 4, 8, 16), (-(-rows // BLOCK), depth // BLOCK))
    for row in range(rows):
        for block, count in enumerate(kept[row // BLOCK]):
            keep[row, block * BLOCK + rng.permutation(BLOCK)[:count]] = True
    return np.where(keep, codes, 0).astype(np.int8)


class World:
    """DRAM for the programs of one configuration.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    random : :class:`random.Random`
        What chooses all contents.
    long : :class:`bool`
        The KV cache has as many positions as a context may have.

    Attributes
    ----------
    matrices : list of :class:`Matrix`
        One after the other, those of a shape in all formats, so that one STREAM can fetch several,
        and one MATMUL in a loop multiply them.
    tall, deep : :class:`Matrix`
        Of as many rows as the vector memory has words, and of as many groups as activations have.
    tables : list of :class:`Matrix`
        Embeddings' rows, in all formats that they may be in, without descriptors. The last is as
        deep as the vector memory takes.
    longest : :class:`int`
        Units of the largest of all of these.
    numbers : :class:`int`
        Units of numbers, from address 0: as many as the vector memory has.
    calm : (:class:`int`, :class:`int`)
        Those of them at whose numbers no definition changes: first and end. A group that has one
        that does is often that alone among zeros, once it is quantized.
    program : :class:`int`
        Unit at which programs start.
    cache : (:class:`int`, :class:`int`)
        Units of the KV cache, which holds something everywhere, and which alone may be written.
    end : :class:`int`
        Units of DRAM.
    """

    def __init__(self, config, random, long=False):
        self.config, self.long = config, long
        self._rng, self._random = np.random.default_rng(random.getrandbits(64)), random
        self._parts, self.end = [], 0
        calm = config.vector_words // 4
        self.numbers = self._put(self._numbers(config.vector_words - calm).tobytes())
        self.calm = self.end, self.end + self._put(self._numbers(calm, edge=0).tobytes())
        self.numbers = self.end
        self.matrices = [
            self._matrix(fmt, *shape) for shape in SHAPES for fmt in config.weight_formats
        ]
        dense = [fmt for fmt in config.weight_formats if fmt not in SPARSE]
        depth = min(GROUPS, config.act_groups)
        self.deep = self._matrix(random.choice(dense), random.choice((1, 5, 20)), depth)
        self.tall = self._matrix(random.choice(dense), config.vector_words, 1)
        most = min(GROUPS, config.vector_words // GROUP)
        self.tables = [
            self._matrix(fmt, 2 * UNIT_WORDS, groups, blocks=True)
            for groups in (1, 3)
            for fmt in config.embed_formats
        ]
        self.tables.append(
            self._matrix(random.choice(config.embed_formats), UNIT_WORDS, most, blocks=True)
        )
        self.longest = max(m.units for m in (*self.matrices, self.deep, self.tall, *self.tables))
        self.program = self.end
        self._put(bytes(config.program_words * 32))
        blocks = POSITIONS // KV_BLOCK if long else CACHE_BLOCKS
        self._put(self._rng.bytes(BEFORE * UNIT_BYTES))
        first = self.end
        self._put(self._cache(blocks).tobytes())
        self.cache = first, self.end
        self._put(self._rng.bytes(BEHIND * UNIT_BYTES))
        self.memory = np.frombuffer(b"".join(self._parts), np.uint8)

    def _put(self, raw):
        """Lay bytes at the end. Returns how many units they are."""
        self._parts.append(raw)
        self.end += len(raw) // UNIT_BYTES
        return len(raw) // UNIT_BYTES

    def _numbers(self, count, edge=EDGE):
        """fp32 numbers, most of them near 1."""
        random = self._random
        return floats(
            [
                random.choice(EDGES) if random.random() < edge else pattern(random, range(118, 136))
                for _ in range(count)
            ]
        )

    def _matrix(self, fmt, rows, groups, blocks=False):
        """Lay a matrix at the end; with `blocks`, without its descriptor."""
        rng = self._rng
        codes = _codes(rng, fmt, rows, groups * GROUP)
        its = FORMATS[fmt]
        scale = rng.integers(0, 256, (rows, groups * GROUP // its.group)).astype(np.uint8)
        scale = scale.view(its.scale_dtype)
        centre = rng.integers(-128, 128, (rows, groups)).astype(np.int8)
        parts = fmt, codes, scale, centre, self._numbers(rows)
        how = self.config.word_bytes, self.config.patterns
        if blocks:
            raw = pack(*parts, *how)
        else:
            raw = described(*parts, int(rng.integers(CENTRE + 1)), *how)
        addr = self.end
        return Matrix(fmt, rows, groups, addr, self._put(raw))

    def _cache(self, blocks):
        """KV blocks of lines of all values, whose exponents are near each other in most blocks.

        So scores exceed those of the blocks before by little: more, and softmax forgets what was.
        """
        rng = self._rng
        cache = np.frombuffer(rng.bytes(blocks * self.config.kv_block_units * UNIT_BYTES), np.uint8)
        cache = cache.reshape(blocks, self.config.kv_block_units, UNIT_BYTES).copy()
        near = rng.integers(114, 123, (blocks, 2, 1)) + rng.integers(0, 4, (blocks, 2, KV_BLOCK))
        any_ = (rng.random((blocks, 1)) < 2 * EDGE) & (rng.random((blocks, UNIT_BYTES)) < EDGE)
        cache[:, 0] = np.where(any_, cache[:, 0], near.reshape(blocks, UNIT_BYTES))
        return cache

    def damaged(self, bits):
        """The same, but for bits of DRAM: the numbers of those that differ."""
        other, memory = copy(self), self.memory.copy()
        for bit in bits:
            memory[bit // 8] ^= 1 << bit % 8
        other.memory = memory
        return other

    def image(self, words):
        """An :class:`~host.image.image.Image` of a program, of which nothing is known to be
        legal.
        """
        return image(self.config, self.memory, self.cache, self.program, words)


def image(config, memory, cache, start, words):
    """An :class:`~host.image.image.Image` of DRAM, with a program that lies at the unit `start`."""
    memory, raw = memory.copy(), b"".join(word.to_bytes(32, "little") for word in words)
    memory[start * UNIT_BYTES :][: len(raw)] = np.frombuffer(raw, np.uint8)
    return Image(
        memory=memory,
        memory_units=len(memory) // UNIT_BYTES,
        writable=cache,
        program=start,
        length=len(words),
        digest=config.digest,
        config=config.name,
        formats=list(config.formats),
        patterns=list(config.patterns),
        context=1,
        vocab=1 << 20,
        weight_bytes=0,
        model={"logit_cap": 0.0},
        tokenizer={},
        report={},
    )
