"""`headrace prune`: one-shot pruning of a model to a sparse pattern."""

from dataclasses import dataclass
from pathlib import Path

from host.errors import UserError
from host.files import check_target
from host.language.text import read_text
from host.language.tokenizer import Tokenizer
from host.progress import console, progress

from ..options import read


PLACE = 50  # in `headrace --help`
WINDOW = 512  # tokens of a calibration sequence


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
    from mapper.prune import Pattern, prune
    from mapper.read import native
    from mapper.read.find import load
    from sw_ref.evaluation import windows

    options = read(Options, args)
    pattern = Pattern(options.pattern, options.density)
    if options.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {options.max_tokens}")
    if Path(options.output).exists():
        raise UserError(f"{options.output}: exists already; give a new folder")
    check_target(options.output)
    text = read_text(options.text)
    model = load(options.model)
    tokenizer = Tokenizer.from_json(model.tokenizer)
    ids = tokenizer.continuation(text)[: options.max_tokens]
    if len(ids) < 2:
        raise UserError(f"{options.text}: must have at least 2 tokens, not {len(ids)}")
    with progress("pruning") as report:
        pruned = prune(
            model, windows(ids, min(WINDOW, model.context)), pattern, options.bits, report
        )
    native.save(pruned, options.output, tokenizer.inner.to_str())
    layers = [linear for layer in pruned.layers for linear in layer.linears.values()]
    kept = sum(int((linear.codes != 0).sum()) for linear in layers)
    total = sum(linear.codes.size for linear in layers)
    console(stderr=False).print(
        f"{options.output}: {pruned.name}, {kept:,} of {total:,} weights of the layers kept "
        f"({100 * kept / total:.1f} %), {options.bits} bits each",
        soft_wrap=True,
    )
