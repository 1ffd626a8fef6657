"""`headrace eval`: is it still the model? Measured against float32 and an independent oracle."""

import json
from dataclasses import dataclass

from host.errors import UserError
from host.language.text import read_text
from host.progress import console

from ..library import images
from ..library.evaluation import agreement, perplexities
from ..library.machines import DEFAULT
from ..options import DeviceOptions, ModelOptions, add_device, add_model, read


PLACE = 60  # in `headrace --help`
WINDOW = 512  # tokens that perplexity is measured in, each window anew


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace eval` is told."""

    model: ModelOptions
    device: DeviceOptions
    oracle: str | None
    text: str | None
    max_tokens: int
    json: bool


def register(commands):
    parser = commands.add_parser(
        "eval",
        help="compare with the float32 model",
        description="Compare the machine with the float32 model: how often the best token is the "
        "same along an oracle's own token paths, and perplexity on a text.",
    )
    add_model(parser)
    parser.add_argument(
        "--oracle", metavar="FILE", help="JSON with `items` of `prompt_ids` and `f32_gen_ids`"
    )
    parser.add_argument(
        "--text", metavar="FILE", help="UTF-8 text to measure perplexity on (needs --device model)"
    )
    parser.add_argument(
        "--max-tokens",
        type=int,
        default=2048,
        metavar="N",
        help="tokens of the text to use (default: 2048)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser, "model")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    if options.oracle is None and options.text is None:
        raise UserError("eval: --oracle FILE or --text FILE must be given")
    options.device.check()
    oracle = None if options.oracle is None else read_oracle(options.oracle)
    text = None if options.text is None else text_of(options)
    model, machine = options.model.load(default_of(options))
    image = model.image(machine, context=options.model.context)
    out = {}
    with options.device.runner(image, machine) as runner:
        for item in oracle or []:
            runner.check(item["prompt_ids"] + item["f32_gen_ids"])
        windows = None if text is None else windows_of(options, runner, text)
        if oracle is not None:
            out |= agreement(runner, oracle)
        if windows is not None:
            out |= perplexities(model.source, runner.device, windows)
    if options.json:
        print(json.dumps(out))
    else:
        show(out)


def default_of(options):
    """The machine to measure on where none is named."""
    if options.device.device != "model" or options.model.machine.given:
        return DEFAULT
    # Numbers are the same in every configuration, so this takes the one that is done soonest.
    from sw_ref.evaluation import EVALUATION

    return EVALUATION


def read_oracle(path):
    """Items of an oracle's file."""
    text = read_text(path)
    try:
        items = json.loads(text)["items"]
        for item in items:
            for key in ("prompt_ids", "f32_gen_ids"):
                if not item[key] or not all(isinstance(n, int) for n in item[key]):
                    raise ValueError(f"{key!r} must be a list of integers")
        if not items:
            raise ValueError("there are none")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: must be JSON with 'items' of 'prompt_ids' and 'f32_gen_ids': {error}"
        ) from None
    return items


def text_of(options):
    """The text, once everything else is as it must be."""
    if options.device.device != "model":
        raise UserError(
            f"--text needs --device model, which has all logits, not {options.device.device}"
        )
    if images.is_image(options.model.model):
        raise UserError(
            f"{options.model.model}: --text needs the model itself for its reference, not an image"
        )
    if options.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {options.max_tokens}")
    return read_text(options.text)


def windows_of(options, runner, text):
    """The text's tokens, cut into windows."""
    from sw_ref.evaluation import windows

    ids = runner.tokenizer.encode(text)[: options.max_tokens]
    if len(ids) < 2:
        raise UserError(f"{options.text}: must have at least 2 tokens, not {len(ids)}")
    return windows(ids, min(WINDOW, runner.image.context))


def show(figures):
    """Print the figures for people."""
    out = console(stderr=False)
    if "positions" in figures:
        out.print(
            f"best token as the oracle's in {100 * figures['top1_agreement']:.1f} % of "
            f"{figures['positions']} positions",
            soft_wrap=True,
        )
    if "perplexity" in figures:
        change = figures["perplexity"] / figures["reference_perplexity"] - 1
        out.print(
            f"perplexity {figures['perplexity']:.3f}, in float32 "
            f"{figures['reference_perplexity']:.3f} ({100 * change:+.2f} %, standard error "
            f"{100 * figures['change_error']:.2f} %), over {figures['tokens']} tokens in windows "
            f"of {WINDOW}",
            soft_wrap=True,
        )
