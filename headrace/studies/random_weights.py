"""GGUF files of random weights, in the shape of a Llama, written block by block."""

from dataclasses import dataclass

import numpy as np

from mapper.read.gguf_types import TYPES


__all__ = ["Q4_0", "Q4_K", "Q6_K", "Shape", "write"]


Q4_0, Q4_K, Q6_K = (TYPES[number] for number in (2, 12, 14))
# Bytes of a block at which half floats are, and what they are for weights of about 0.05.
HALVES = {Q4_0: {0: 0.01}, Q4_K: {0: 0.0002, 2: 0.0015}, Q6_K: {208: 0.00002}}
BLOCKS = 1 << 14  # random ones, at most, at a time


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a Llama, and the types of its tensors: of the matrices, and of the head, or None
    where the embedding is the head."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    matrix: type = Q4_0
    head: type | None = None
    context: int = 8192

    def matrices(self):
        """Yield the name, the rows, the columns and the type of each matrix."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "token_embd", self.vocab, self.hidden, self.matrix
        if self.head is not None:
            yield "output", self.vocab, self.hidden, self.head
        for n in range(self.layers):
            for name, rows, columns in (
                ("attn_q", queries, self.hidden),
                ("attn_k", keys, self.hidden),
                ("attn_v", keys, self.hidden),
                ("attn_output", self.hidden, queries),
                ("ffn_gate", self.ffn, self.hidden),
                ("ffn_up", self.ffn, self.hidden),
                ("ffn_down", self.hidden, self.ffn),
            ):
                yield f"blk.{n}.{name}", rows, columns, self.matrix

    def norms(self):
        """Names of the norms, each of `hidden` gains."""
        layers = range(self.layers)
        return ["output_norm", *(f"blk.{n}.{x}_norm" for n in layers for x in ("attn", "ffn"))]

    def metadata(self):
        """The file's metadata, by key."""
        return {
            "llama.block_count": self.layers,
            "llama.context_length": self.context,
            "llama.embedding_length": self.hidden,
            "llama.feed_forward_length": self.ffn,
            "llama.attention.head_count": self.heads,
            "llama.attention.head_count_kv": self.kv_heads,
            "llama.attention.key_length": self.head_dim,
            "llama.attention.value_length": self.head_dim,
            "llama.vocab_size": self.vocab,
        }


def random_blocks(random, kind, rows, columns):
    """Yield pieces of a matrix of random codes and scales: uint8 (blocks, bytes)."""
    left = rows * (columns // kind.elements)
    while left:
        count = min(left, BLOCKS)
        blocks = np.frombuffer(random.bytes(count * kind.size), np.uint8)
        blocks = blocks.reshape(count, kind.size).copy()
        for at, value in HALVES[kind].items():
            blocks[:, at : at + 2] = np.array([value], "<f2").view(np.uint8)
        yield blocks
        left -= count


def write(path, shape, seed=1):
    """Write a GGUF file of random weights."""
    import gguf  # only this writes GGUF files

    random, writer = np.random.default_rng(seed), gguf.GGUFWriter(path, "llama")
    for key, value in shape.metadata().items():
        writer.add_uint32(key, value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_string("tokenizer.ggml.model", "gpt2")
    writer.add_string("tokenizer.ggml.pre", "llama-bpe")
    writer.add_array(
        "tokenizer.ggml.tokens", ["t", "0", *(f"t{n}" for n in range(shape.vocab - 2))]
    )
    writer.add_array("tokenizer.ggml.merges", ["t 0"])
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    for name, rows, columns, kind in shape.matrices():
        width = columns // kind.elements * kind.size
        kind = gguf.GGMLQuantizationType(kind.number)
        about = (rows, width), np.dtype(np.uint8), rows * width
        writer.add_tensor_info(f"{name}.weight", *about, raw_dtype=kind)
    for name in shape.norms():
        about = (shape.hidden,), np.dtype(np.float32), 4 * shape.hidden
        writer.add_tensor_info(f"{name}.weight", *about)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with open(path, "ab") as file:
        for _, rows, columns, kind in shape.matrices():
            file.write(bytes(-file.tell() % 32))
            for blocks in random_blocks(random, kind, rows, columns):
                file.write(blocks.data)
        for _ in shape.norms():
            file.write(bytes(-file.tell() % 32))
            file.write(np.ones(shape.hidden, "<f4").tobytes())
