"""Time and memory to compile a file of 5 GB: ``python -m headrace.studies.large_file``.

A GGUF of random weights is written, of Llama 3.1 8B's shape with three layers more, Q4_K with the
head in Q6_K, and compiled to an image for a machine that is large enough; both are deleted. It is
compiled in a process of its own. Measured are the seconds on the clock and of the CPUs, and the
most memory that is no file's: a thread looks at ``RssAnon`` of `/proc/self/status` all the time.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic, process_time
from types import TracebackType

import numpy as np

from host.errors import run_command
from mapper.compile import compile_model
from mapper.read.find import load
from mapper.read.gguf_types import TYPES
from rtl.spec.config import get


__all__ = ["CONFIG", "Memory", "Shape", "write"]


HEAD_DIM = 128
CONFIG = replace(
    get("wide"),
    name="large",
    head_dim=HEAD_DIM,
    vector_words=1 << 18,
    act_groups=512,
    formats=("U4", "S6", "S8"),
)
MATRICES = TYPES[12]  # Q4_K
VOCABULARY = TYPES[14]  # Q6_K
# Bytes of a block at which half floats are, and what they are for weights of about 0.05.
HALVES = {MATRICES: {0: 0.0002, 2: 0.0015}, VOCABULARY: {208: 0.00002}}
BLOCKS = 1 << 14  # random ones, at most, at a time


class Shape:
    """Sizes of a Llama: `layers` of Llama 3.1 8B, whose sizes are divided by `divisor`."""

    def __init__(self, layers=35, divisor=1):
        self.layers, self.hidden, self.ffn = layers, 4096 // divisor, 14336 // divisor
        self.heads, self.kv_heads, self.vocab = 32 // divisor, 8 // divisor, 128256 // divisor

    def matrices(self):
        """Yield the name, the rows, the columns and the type of each matrix."""
        keys = self.kv_heads * HEAD_DIM
        yield "token_embd", self.vocab, self.hidden, MATRICES
        yield "output", self.vocab, self.hidden, VOCABULARY
        for n in range(self.layers):
            for name, rows, columns in (
                ("attn_q", self.hidden, self.hidden),
                ("attn_k", keys, self.hidden),
                ("attn_v", keys, self.hidden),
                ("attn_output", self.hidden, self.hidden),
                ("ffn_gate", self.ffn, self.hidden),
                ("ffn_up", self.ffn, self.hidden),
                ("ffn_down", self.hidden, self.ffn),
            ):
                yield f"blk.{n}.{name}", rows, columns, MATRICES

    def norms(self):
        """Names of the norms, each of `hidden` gains."""
        layers = range(self.layers)
        return ["output_norm", *(f"blk.{n}.{x}_norm" for n in layers for x in ("attn", "ffn"))]

    def metadata(self):
        """The file's metadata, by key."""
        return {
            "llama.block_count": self.layers,
            "llama.context_length": 8192,
            "llama.embedding_length": self.hidden,
            "llama.feed_forward_length": self.ffn,
            "llama.attention.head_count": self.heads,
            "llama.attention.head_count_kv": self.kv_heads,
            "llama.attention.key_length": HEAD_DIM,
            "llama.attention.value_length": HEAD_DIM,
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


class Memory:
    """The most memory of the process that is no file's while the context lasts, in bytes.

    Attributes
    ----------
    most : :class:`int`
    """

    def __init__(self, period=0.02, read: Callable[[], int] | None = None):
        self.period, self.read = period, read or self.anonymous
        self.most, self._done, self._thread = 0, Event(), Thread(target=self._watch, daemon=True)

    @staticmethod
    def anonymous():
        """Bytes of the process now."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    def _watch(self):
        self.most = max(self.most, self.read())
        while not self._done.wait(self.period):
            self.most = max(self.most, self.read())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ):
        self._done.set()
        self._thread.join()


def compiled(path, output):
    """Compile a file, and print what that takes."""
    start, before = monotonic(), process_time()
    with Memory() as memory:
        model = load(path)
        compile_model(model, CONFIG, 2048).save(output)
    size, image = (Path(p).stat().st_size / 1e9 for p in (path, output))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{size:.2f} GB to {image:.2f} GB: {monotonic() - start:.0f} s, "
        f"{process_time() - before:.0f} s of CPUs, {memory.most / 1e6:.0f} MB beyond mapped files "
        f"({peak:.1f} GB with them)"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=35)
    parser.add_argument("--divisor", type=int, default=1, help="of all sizes: 1, 2 or 4")
    parser.add_argument("--folder", help="where the files go; else the system's temporary folder")
    parser.add_argument("--compile", metavar="FILE", help="compile this file, and write none")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        if args.compile:
            compiled(args.compile, f"{folder}/model.safetensors")
            return
        path = f"{folder}/model.gguf"
        write(path, Shape(args.layers, args.divisor))
        command = [sys.executable, "-m", "headrace.studies.large_file", "--folder", folder]
        subprocess.run([*command, "--compile", path], check=True)


if __name__ == "__main__":
    sys.exit(run_command("large_file", main))
