"""`headrace eval`: is it still the model? Measured against float32 and an independent oracle."""

import json
from dataclasses import dataclass

from host.errors import UserError
from host.language.text import read_text
from host.progress import console, progress

from ..library import images
from ..library.evaluation import agreement, checked_ids, machine_for, perplexities
from ..library.models import check_context, load
from ..library.node_errors import POSITIONS, node_errors
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
    ids: str | None
    per_node: bool
    max_tokens: int
    json: bool


def register(commands):
    parser = commands.add_parser(
        "eval",
        help="compare with the float32 model",
        description="Compare the machine with the float32 model: how often the best token is the "
        "same, along an oracle's own token paths or else a text, the divergence of distributions "
        "in nats, and perplexity.",
    )
    add_model(parser)
    parser.add_argument(
        "--oracle", metavar="FILE", help="JSON with `items` of `prompt_ids` and `f32_gen_ids`"
    )
    parser.add_argument(
        "--text", metavar="FILE", help="UTF-8 text to measure on (needs --device model)"
    )
    parser.add_argument(
        "--ids",
        metavar="FILE",
        help="JSON list of token ids to measure on: one window, nothing added (needs --device "
        "model)",
    )
    parser.add_argument(
        "--per-node",
        action="store_true",
        help="which node costs what, with --text or --ids: figures where it alone computes as the "
        f"machine does, over {POSITIONS} tokens (needs PyTorch)",
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
    check(options)
    options.device.check()
    oracle = None if options.oracle is None else read_oracle(options.oracle)
    text = None if options.text is None else read_text(options.text)
    ids = None if options.ids is None else read_ids(options.ids)
    model, machine = load_both(options)
    image = model.image(machine, context=options.model.context)
    out = {}
    with options.device.runner(image, machine) as runner:
        for item in oracle or []:
            runner.check(item["prompt_ids"] + item["f32_gen_ids"])
        windows = windows_of(options, runner, text, ids)
        if windows is not None:
            out |= perplexities(model.source, runner.device, windows)
        if oracle is not None:
            out |= agreement(runner, oracle)
    if options.per_node and windows is not None:
        with progress("nodes") as report:
            out["per_node"] = node_errors(
                model.source, machine, image.context, windows[0][:POSITIONS], model.head, report
            )
    if options.json:
        print(json.dumps(out))
    else:
        show(options, out)


def check(options):
    """Refuse options that do not go together, before anything is read."""
    measured = [f"--{name}" for name in ("text", "ids") if getattr(options, name) is not None]
    if options.oracle is None and not measured:
        raise UserError("eval: --oracle FILE, --text FILE or --ids FILE must be given")
    if options.ids is not None and (options.oracle, options.text) != (None, None):
        raise UserError("--ids must be given without --oracle and --text")
    if options.per_node and not measured:
        raise UserError("--per-node needs --text FILE or --ids FILE")
    for name in measured:
        if options.device.device != "model":
            raise UserError(
                f"{name} needs --device model, which has all logits, not {options.device.device}"
            )
        if images.is_image(options.model.model):
            raise UserError(
                f"{options.model.model}: {name} needs the model itself for its reference, not an "
                "image"
            )
    if options.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {options.max_tokens}")


def load_both(options):
    """The model, and the machine to measure on."""
    its = options.model
    if options.device.device != "model" or its.machine.given or images.is_image(its.model):
        return its.load()
    check_context(its.context)
    model = load(its.model, bits=its.bits, head=its.head)
    return model, machine_for(model.source, its.head)


def read_ids(path):
    """A JSON list of token ids."""
    try:
        ids = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: must be a JSON list of token ids: {error}") from None
    if not isinstance(ids, list):
        raise UserError(f"{path}: must be a JSON list of token ids, not {ids!r:.40}")
    return ids


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


def windows_of(options, runner, text, ids):
    """The tokens, cut into windows; None without a text or ids."""
    from sw_ref.evaluation import windows

    image = runner.image
    if ids is not None:
        try:
            return [checked_ids(ids, image.vocab, image.context, least=2)]
        except UserError as error:
            raise UserError(f"{options.ids}: {error}") from None
    if text is None:
        return None
    ids = runner.tokenizer.encode(text)[: options.max_tokens]
    if len(ids) < 2:
        raise UserError(f"{options.text}: must have at least 2 tokens, not {len(ids)}")
    return windows(ids, min(WINDOW, image.context))


def show(options, figures):
    """Print the figures for people."""
    out = console(stderr=False)
    whose = "the oracle's" if options.oracle is not None else "float32's"
    lines = [
        f"best token as {whose} in {100 * figures['top1_agreement']:.1f} % of "
        f"{figures['positions']} positions"
    ]
    if "perplexity" in figures:
        change = figures["perplexity"] / figures["reference_perplexity"] - 1
        where = f" in windows of {WINDOW}" if options.text is not None else ""
        lines += [
            f"divergence from float32 {figures['kl']:.2e} nats",
            f"perplexity {figures['perplexity']:.3f}, in float32 "
            f"{figures['reference_perplexity']:.3f} ({100 * change:+.2f} %, standard error "
            f"{100 * figures['change_error']:.2f} %), over {figures['tokens']} tokens{where}",
        ]
    for line in lines:
        out.print(line, soft_wrap=True)
    if "per_node" in figures:
        out.print(node_table(figures["per_node"]))


def node_table(rows):
    """A table of :func:`node_errors`."""
    from rich.table import Table

    table = Table("alone as the machine", "nats", "rms error of logits", box=None)
    for row in rows:
        table.add_row(row["node"], f"{row['kl']:.2e}", f"{100 * row['rms']:.2f} %")
    return table
