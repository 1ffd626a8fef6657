"""`headrace quantize`: a model as a GGUF file of another type."""

from collections import Counter
from dataclasses import dataclass

from host.progress import console

from ..library.quantizing import quantize
from ..options import read


PLACE = 55  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace quantize` is told."""

    model: str
    type: str
    head: str | None
    output: str


def register(commands):
    parser = commands.add_parser(
        "quantize",
        help="write a model as a GGUF file, its weights rounded to a type",
        description="Round a model's matrices to a type of GGUF, as llama.cpp's files have it, and "
        "write a GGUF file. Needs the library gguf: make install "
        "FOR=quantize. Gains of norms are F32. Rows that are no multiple of the type's block get "
        "Q8_0, or F16. What it costs is measured by: headrace eval --model FILE --text FILE",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="smollm2, a GGUF file, or a folder with safetensors whose tokenizer is byte-level BPE",
    )
    parser.add_argument(
        "--type",
        metavar="TYPE",
        required=True,
        help="F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, TQ1_0, TQ2_0 or MXFP4",
    )
    parser.add_argument(
        "--head",
        metavar="TYPE",
        help="type of the embedding and the head (default: Q8_0, and F32, F16 or BF16 where TYPE "
        "is; llama-quantize has Q6_K there, which the library does not write)",
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="GGUF file to write, a new one"
    )
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    made = quantize(options.model, options.output, options.type, head=options.head)
    out = console(stderr=False)
    out.print(
        f"{options.output}: {made.name}, {made.matrices} matrices: layers in {made.kind}, "
        f"embedding and head in {made.head}",
        soft_wrap=True,
    )
    if made.instead:
        counts = Counter(made.instead.values())
        which = " and ".join(f"{count} in {kind}" for kind, count in counts.items())
        out.print(f"rows that are no multiple of the type's block: {which} instead", soft_wrap=True)
