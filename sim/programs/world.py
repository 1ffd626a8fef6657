"""What random programs work on: numbers, matrices of all formats, and a KV cache."""

from dataclasses import dataclass

import numpy as np

from host.image import Image
from rtl.config import GROUP, UNIT_BYTES
from rtl.formats import CODE_BITS, SPARSE, WeightFormat, pack
from rtl.sparse import BLOCK

from ..patterns import EDGES, floats, pattern
from .observe import dump_units


__all__ = ["Matrix", "World"]


CACHE_BLOCKS = 6     # of KV, of one head
SHAPES = [(1, 1), (3, 2), (16, 1), (17, 3), (40, 2), (64, 5), (70, 4)]   # rows, groups
EDGE = 0.1           # how often a number is one at which a definition changes


@dataclass(frozen=True)
class Matrix:
    """A packed matrix: where it lies, and what a program must say of it. `addr` and `units` are of DRAM."""
    format: WeightFormat
    rows: int
    groups: int
    addr: int
    units: int


def _codes(rng, fmt, rows, depth):
    """Codes of a format, at random; with blocks of all kinds where it is sparse."""
    if fmt not in SPARSE:
        if fmt == WeightFormat.TERNARY:
            return rng.integers(-1, 2, (rows, depth)).astype(np.int8)
        if fmt == WeightFormat.S8:
            return rng.integers(-128, 128, (rows, depth)).astype(np.int8)
        return rng.integers(0, 1 << CODE_BITS[fmt], (rows, depth)).astype(np.uint8)
    limit = 7 if fmt == WeightFormat.SPARSE4 else 127
    codes = rng.integers(1, limit + 1, (rows, depth)) * rng.choice((-1, 1), (rows, depth))
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
    config : :class:`~rtl.config.Config`
    random : :class:`random.Random`
        What chooses all contents.

    Attributes
    ----------
    matrices : list of :class:`Matrix`
        One after the other, so that one STREAM can fetch several.
    table : :class:`Matrix`
        Of format S8: an embedding.
    numbers : :class:`int`
        Units of numbers, from address 0: as many as the vector memory has.
    program : :class:`int`
        Unit at which programs start.
    cache : (:class:`int`, :class:`int`)
        Units of the KV cache, which holds something everywhere. What programs leave in the vector
        memory goes behind it (:func:`~.observe.dump`).
    """
    def __init__(self, config, random):
        self.config = config
        rng = np.random.default_rng(random.getrandbits(64))
        self.numbers = config.vector_words * 4 // UNIT_BYTES
        parts = [self._numbers(random, config.vector_words).tobytes()]
        self._at = self.numbers
        self.matrices = [self._matrix(rng, random, parts, WeightFormat[name], *shape)
                         for name in config.formats for shape in SHAPES]
        self.table = self._matrix(rng, random, parts, WeightFormat.S8, 4 * config.block_rows, 3)
        self.program = self._at
        self._at += config.program_words * 32 // UNIT_BYTES
        parts.append(bytes((self._at - self.program) * UNIT_BYTES))
        units = CACHE_BLOCKS * config.kv_block_units
        self.cache = self._at, self._at + units
        cache = rng.integers(0, 256, (CACHE_BLOCKS, config.kv_block_units, UNIT_BYTES)).astype(np.uint8)
        # Exponents of usual values, for the most part.
        cache[:, 0] = np.where(rng.random((CACHE_BLOCKS, UNIT_BYTES)) < EDGE, cache[:, 0],
                               rng.integers(110, 140, (CACHE_BLOCKS, UNIT_BYTES)))
        parts.append(cache.tobytes())
        self.memory = np.frombuffer(b"".join(parts), np.uint8)

    def _numbers(self, random, count):
        """fp32 numbers, most of them near 1."""
        return floats([random.choice(EDGES) if random.random() < EDGE else
                       pattern(random, range(118, 136)) for _ in range(count)])

    def _matrix(self, rng, random, parts, fmt, rows, groups):
        codes = _codes(rng, fmt, rows, groups * GROUP)
        scale = rng.integers(0, 256, (rows, groups)).astype(np.uint8)
        centre = rng.integers(-128, 128, (rows, groups)).astype(np.int8)
        raw = pack(fmt, codes, scale, centre, self._numbers(random, rows), self.config.beat_bytes,
                   self.config.patterns)
        parts.append(raw)
        at, self._at = self._at, self._at + len(raw) // UNIT_BYTES
        return Matrix(fmt, rows, groups, at, len(raw) // UNIT_BYTES)

    @property
    def end(self):
        """Units of DRAM."""
        return self.cache[1] + dump_units(self.config)

    def image(self, words):
        """An :class:`~host.image.Image` of a program, of which nothing is known to be legal."""
        config, memory = self.config, self.memory.copy()
        raw = b"".join(word.to_bytes(32, "little") for word in words)
        memory[self.program * UNIT_BYTES:][:len(raw)] = np.frombuffer(raw, np.uint8)
        return Image(
            memory=memory, memory_units=self.end, writable=(self.cache[0], self.end),
            program=self.program, length=len(words), digest=config.digest, config=config.name,
            formats=list(config.formats), patterns=list(config.patterns), context=1, vocab=1 << 20,
            weight_bytes=0, model={}, tokenizer={}, report={})
