"""GGUF files of random weights, of any family, written block by block."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mapper.families import FAMILIES
from mapper.read.fields import Fields
from mapper.read.gguf_types import TYPES
from mapper.read.hyperparameters import hyperparameters


__all__ = ["Q4_0", "Q4_K", "Q6_K", "Q8_0", "TQ2_0", "Shape", "write"]


Q4_0, Q4_K, Q6_K, Q8_0, TQ2_0 = (TYPES[number] for number in (2, 12, 14, 8, 35))
# Bytes of a block at which half floats are, and what they are for weights of about 0.05.
HALVES = {
    Q4_0: {0: 0.01},
    Q4_K: {0: 0.0002, 2: 0.0015},
    Q6_K: {208: 0.00002},
    Q8_0: {0: 0.0007},
    TQ2_0: {64: 0.05},
}
TERNARY = np.array([sum(n // 3**k % 3 << 2 * k for k in range(4)) for n in range(256)], np.uint8)
BLOCKS = 1 << 14  # random ones, at most, at a time


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model, and the types of its tensors.

    Attributes
    ----------
    family : :class:`str`
        One of :data:`mapper.families.FAMILIES`.
    layers, hidden, ffn, heads, kv_heads, head_dim, vocab, context : :class:`int`
    matrix : :class:`~mapper.read.gguf_types.BlockType`
        Of the matrices of layers.
    embedding, head : :class:`~mapper.read.gguf_types.BlockType` or None
        None: the embedding is as matrices are, and the head is the embedding.
    fused : :class:`bool`
        Whether the file has matrices in one, of those that its family may have so.
    biased : tuple of :class:`str`
        Matrices that have a bias, by their names in the graph, in a family where that is a choice.
    more : mapping of :class:`str`
        Other metadata, by keys without the architecture.
    """

    family: str = "llama"
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int = 8192
    matrix: Any = Q4_0
    embedding: Any = None
    head: Any = None
    fused: bool = False
    biased: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def architecture(self):
        """What the file says it is."""
        return FAMILIES[self.family].called("gguf")[0]

    def metadata(self):
        """The file's metadata of the architecture, by key."""
        values = {
            "block_count": self.layers,
            "context_length": self.context,
            "embedding_length": self.hidden,
            "feed_forward_length": self.ffn,
            "attention.head_count": self.heads,
            "attention.head_count_kv": self.kv_heads,
            "attention.key_length": self.head_dim,
            "attention.value_length": self.head_dim,
            "attention.layer_norm_rms_epsilon": 1e-5,
            "vocab_size": self.vocab,
        }
        return {f"{self.architecture}.{key}": its for key, its in (values | self.more).items()}

    @property
    def graph(self):
        """What a reader of the metadata makes of it, a :class:`~sw_ref.graph.Graph`."""
        f = Fields(self.family, self.metadata(), f"{self.architecture}.", frozenset(self.biased))
        its = FAMILIES[self.family]
        return its.graph(hyperparameters(its, f, self.vocab))

    def tensors(self):
        """Yield the name, the shape, and the type, None for float32, of each tensor."""
        family, graph = FAMILIES[self.family], self.graph
        types = {"embedding": self.embedding or self.matrix, "head": self.head}
        for name, shape in {"embedding": (self.vocab, self.hidden), **graph.shapes}.items():
            names, suffix = family.file_names(name)
            if name != "head" or self.head is not None:
                yield f"{names.gguf}.{suffix}", shape, types.get(name)
        for n, kind in enumerate(graph.order):
            for name, shape in self._joined(family, graph.layer_shapes[kind]).items():
                yield f"blk.{n}.{name}", shape, self.matrix if len(shape) == 2 else None

    def _joined(self, family, shapes):
        """Shapes of a layer's tensors by their names in the file."""
        found, fused = {}, family.fused if self.fused else ()
        names = {part: its.names.gguf for its in fused for part in its.parts}
        for name, (rows, *depth) in shapes.items():
            its, suffix = family.file_names(name)
            called = f"{names.get(name, its.gguf)}.{suffix}"
            before = found[called][0] if called in found else 0
            found[called] = (before + rows, *depth)
        return found


def random_blocks(random, kind, rows, columns):
    """Yield pieces of a matrix of random codes and scales: uint8 (blocks, bytes)."""
    left = rows * (columns // kind.elements)
    while left:
        count = min(left, BLOCKS)
        blocks = np.frombuffer(random.bytes(count * kind.size), np.uint8)
        blocks = blocks.reshape(count, kind.size).copy()
        if kind is TQ2_0:  # of whose codes there are three
            blocks = TERNARY[blocks]
        for at, value in HALVES[kind].items():
            blocks[:, at : at + 2] = np.array([value], "<f2").view(np.uint8)
        yield blocks
        left -= count


def add_tensors(writer, shape):
    """Announce the tensors, whose data comes behind the header."""
    import gguf

    for name, size, kind in shape.tensors():
        if kind is None:
            writer.add_tensor_info(name, size, np.dtype(np.float32), 4 * math.prod(size))
            continue
        rows, columns = size
        width = columns // kind.elements * kind.size
        about = (rows, width), np.dtype(np.uint8), rows * width
        writer.add_tensor_info(name, *about, raw_dtype=gguf.GGMLQuantizationType(kind.number))


def write(path, shape, seed=1):
    """Write a GGUF file of random weights."""
    import gguf  # only this writes GGUF files

    random, writer = np.random.default_rng(seed), gguf.GGUFWriter(path, shape.architecture)
    for key, value in shape.metadata().items():
        (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(key, value)
    writer.add_string("tokenizer.ggml.model", "gpt2")
    writer.add_string("tokenizer.ggml.pre", "llama-bpe")
    writer.add_array(
        "tokenizer.ggml.tokens", ["t", "0", *(f"t{n}" for n in range(shape.vocab - 2))]
    )
    writer.add_array("tokenizer.ggml.merges", ["t 0"])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    add_tensors(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with open(path, "ab") as file:
        for _, size, kind in shape.tensors():
            file.write(bytes(-file.tell() % 32))
            if kind is None:
                file.write(np.ones(size, "<f4").tobytes())
                continue
            for blocks in random_blocks(random, kind, *size):
                file.write(blocks.data)
