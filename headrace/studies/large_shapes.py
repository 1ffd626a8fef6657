"""Time and memory to compile models of sizes that people use: ``python -m
headrace.studies.large_shapes [NAME ...]``.

For each shape a GGUF of its family with random weights is written, and compiled for the machine
that fits it (:func:`headrace.library.machines.fitting`), each in a process of its own; files are
deleted. :mod:`.large_file` says what is measured. The largest takes 15 GB of disk.
"""

import argparse
import subprocess
import sys
import tempfile

from host.errors import UserError, run_command
from mapper.read.find import load

from ..library.machines import fitting
from .large_file import compiled
from .random_weights import Q4_K, Q6_K, Q8_0, TQ2_0, Shape, write


__all__ = ["SHAPES"]


# With the types that such a file has most often: `llama-quantize` gives an embedding that is the
# head Q6_K, or Q8_0 where rows are no multiples of 256. Llama-3.x's and Phi-4's factors of RoPE,
# which change numbers of a table, are left out.
SHAPES = {
    "Llama-3.2-1B": Shape(
        layers=16,
        hidden=2048,
        ffn=8192,
        heads=32,
        kv_heads=8,
        head_dim=64,
        vocab=128256,
        matrix=Q4_K,
        embedding=Q6_K,
    ),
    "Qwen3-0.6B": Shape(
        family="qwen3",
        layers=28,
        hidden=1024,
        ffn=3072,
        heads=16,
        kv_heads=8,
        head_dim=128,
        vocab=151936,
        embedding=Q6_K,
    ),
    "Qwen3-4B": Shape(
        family="qwen3",
        layers=36,
        hidden=2560,
        ffn=9728,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocab=151936,
        matrix=Q4_K,
        embedding=Q6_K,
    ),
    "Gemma-3-1B": Shape(
        family="gemma3",
        layers=26,
        hidden=1152,
        ffn=6912,
        heads=4,
        kv_heads=1,
        head_dim=256,
        vocab=262144,
        embedding=Q8_0,
        more={"attention.sliding_window": 512, "rope.freq_base": 1e6},
    ),
    "Phi-4-mini": Shape(
        family="phi3",
        layers=32,
        hidden=3072,
        ffn=8192,
        heads=24,
        kv_heads=8,
        head_dim=128,
        vocab=200064,
        matrix=Q4_K,
        embedding=Q6_K,
        fused=True,
        more={"rope.dimension_count": 96},
    ),
    "BitNet-2B-4T": Shape(
        family="bitnet",
        layers=30,
        hidden=2560,
        ffn=6912,
        heads=20,
        kv_heads=5,
        head_dim=128,
        vocab=128256,
        matrix=TQ2_0,
        embedding=Q6_K,
        context=4096,
    ),
    "Llama-3.1-8B": Shape(
        layers=32,
        hidden=4096,
        ffn=14336,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocab=128256,
        matrix=Q4_K,
        head=Q6_K,
    ),
}


def fitted(path, output):
    """Compile a file for the machine that fits it, and print which that is."""
    machine, why = fitting(load(path))
    print(why or f"configuration {machine.name!r}")
    compiled(path, output, machine)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SHAPES)}; else all")
    parser.add_argument("--folder", help="where the files go; else the system's temporary folder")
    parser.add_argument("--compile", metavar="FILE", help="compile this file, and write none")
    args = parser.parse_args()
    for name in args.names:
        if name not in SHAPES:
            raise UserError(f"the shape must be one of {', '.join(SHAPES)}, not {name!r}")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        if args.compile:
            fitted(args.compile, f"{folder}/model.safetensors")
            return 0
        command = [sys.executable, "-m", "headrace.studies.large_shapes", "--folder", folder]
        for name in args.names or SHAPES:
            write(path := f"{folder}/model.gguf", SHAPES[name])
            print(f"{name}: ", end="", flush=True)
            code = subprocess.run([*command, "--compile", path], check=False).returncode
            if code:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(run_command("large_shapes", main))
