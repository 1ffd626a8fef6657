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
        "write a GGUF file. Needs the libraries gguf and, for Q2_K to Q6_K, IQ4_NL, IQ4_XS, NVFP4 "
        "and Q1_0, xllamacpp: make install FOR=quantize. Gains of norms are F32. Rows that are no "
        "multiple of the type's block get the type that llama-quantize has for them: Q5_0 for "
        "Q4_K, Q5_1 for Q5_K, Q8_0 for Q6_K, Q4_0 for Q2_K and Q3_K, IQ4_NL for IQ4_XS; others "
        "Q8_0, or F16. What it costs is measured by: headrace eval --model FILE --text FILE",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="smollm2, a GGUF file, or a folder with safetensors whose tokenizer GGUF can describe",
    )
    parser.add_argument(
        "--type",
        metavar="TYPE",
        required=True,
        help="F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, "
        "IQ4_XS, MXFP4, NVFP4, TQ1_0, TQ2_0 or Q1_0; or mixed, llama-quantize's Q4_K_M: Q4_K, and "
        "Q6_K for the head and half of v and down",
    )
    parser.add_argument(
        "--head",
        metavar="TYPE",
        help="type of the embedding and the head (default, as in llama-quantize: Q6_K; Q8_0 where "
        "TYPE is Q8_0 or MXFP4; F32, F16 or BF16 where it is)",
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
        f"{options.output}: {made.name}, {len(made.types)} matrices: {counted(made.types)}",
        soft_wrap=True,
    )
    if made.instead:
        out.print(
            f"rows that are no multiple of the type's block: {counted(made.instead)} instead",
            soft_wrap=True,
        )


def counted(types):
    """How many tensors have which type, the most frequent one first."""
    found = Counter(types.values()).most_common()
    return ", ".join(f"{count} in {kind}" for kind, count in found)
