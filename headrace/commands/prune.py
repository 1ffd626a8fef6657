"""`headrace prune`: one-shot pruning of a model to a sparse pattern."""

from dataclasses import dataclass

from host.errors import UserError
from host.language.text import read_text
from host.progress import console

from ..library.pruning import prune
from ..options import read


PLACE = 50  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace prune` is told."""

    model: str
    pattern: str
    density: float
    bits: int
    text: str
    max_tokens: int
    output: str


def register(commands):
    parser = commands.add_parser(
        "prune",
        help="prune a model to a sparse pattern",
        description="Prune a model's layers to a pattern of the sparse DSP chain, in one shot and "
        "with a "
        "calibration text (SparseGPT), and write it as a folder that every command takes as "
        "a model. What it costs is measured by: headrace eval --model DIR --text FILE",
    )
    parser.add_argument(
        "--model",
        default="smollm2",
        metavar="MODEL",
        help="smollm2, a GGUF file, or a folder with safetensors (default: smollm2)",
    )
    parser.add_argument(
        "--pattern",
        default="2:4",
        metavar="N:M",
        help="2:4, 8:16, 4:16, 2:16, or mixed: 0, 2, 4, 8 or 16 of 16 for each block of "
        "16 x 16 weights (default: 2:4)",
    )
    parser.add_argument(
        "--density",
        type=float,
        default=0.375,
        metavar="D",
        help="with --pattern mixed: share of weights to keep (default: 0.375)",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(4, 8),
        default=8,
        help="bits of a weight that stays (default: 8)",
    )
    parser.add_argument(
        "--text",
        metavar="FILE",
        required=True,
        help="UTF-8 text to calibrate with: best of the kind that the model will write",
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=16384,
        metavar="N",
        help="tokens of the text to use (default: 16384)",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", required=True, help="folder to write, a new one"
    )
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    if options.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {options.max_tokens}")
    pruned = prune(
        options.model,
        options.output,
        read_text(options.text),
        pattern=options.pattern,
        density=options.density,
        bits=options.bits,
        max_tokens=options.max_tokens,
    )
    console(stderr=False).print(
        f"{options.output}: {pruned.name}, {pruned.kept:,} of {pruned.total:,} weights of the "
        f"layers kept ({100 * pruned.kept / pruned.total:.1f} %), {options.bits} bits each",
        soft_wrap=True,
    )
