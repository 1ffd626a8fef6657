"""`headrace compare`: a device beside the functional model, layer by layer, then node by node."""

import json
import re
from dataclasses import dataclass

from host.errors import UserError
from host.progress import console

from ..library.comparison import as_float, compare_layers
from ..options import DeviceOptions, ModelOptions, add_device, add_model, read


PLACE = 70  # in `headrace --help`
DEFAULT_PROMPT = "The capital of Germany is"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace compare` is told."""

    model: ModelOptions
    device: DeviceOptions
    prompt: str
    layers: str | None
    bisect: bool
    json: bool


def register(commands):
    parser = commands.add_parser(
        "compare",
        help="compare a device with the functional model, layer by layer",
        description="Run the first layer, the first two layers, and so on, each followed by the "
        "head, on a "
        "device and on the functional model, and compare the best logits of the first answer "
        "token, bit by bit. In the first layer that differs, a device that shows its memories is "
        "asked for the first node that does. Ends with 1 if anything differs.",
    )
    add_model(parser)
    parser.add_argument(
        "--prompt", default=DEFAULT_PROMPT, metavar="TEXT", help=f"(default: {DEFAULT_PROMPT!r})"
    )
    parser.add_argument(
        "--layers", metavar="A..B", help="after how many layers to look (default: all)"
    )
    parser.add_argument(
        "--bisect",
        action="store_true",
        help="only find the first layer that differs, which takes fewer runs",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser, "sim")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    options.device.check()
    if not options.prompt:
        raise UserError("--prompt must be a text, it is empty")
    model, machine = options.model.load()
    image, out = model.image(machine, context=options.model.context), console(stderr=False)
    span = layers_of(options.layers, image.model["layers"])
    with options.device.runner(image, machine) as runner:
        ids = runner.encode(options.prompt)  # before a device takes minutes to build
        result = compare_layers(
            runner,
            ids,
            span,
            bisect=options.bisect,
            show=lambda row: None if options.json else out.print(line(row), soft_wrap=True),
        )
    name = options.device.device
    if options.json:
        print(
            json.dumps(
                {
                    "config": machine.name,
                    "device": name,
                    "prompt_ids": ids,
                    "rows": result.rows,
                    "first_difference": result.first_difference,
                    "node": result.node,
                    "hint": result.hint,
                }
            )
        )
    elif result.equal:
        print(f"{name} and the functional model agree, bit by bit, wherever they were compared")
    else:
        where = "" if result.node is None else f", and there {result.node!r}"
        print(f"layer {result.first_difference} is the first that differs{where}: {result.hint}")
    return 0 if result.equal else 1


def layers_of(text, layers):
    """The range that ``A..B`` or ``A`` stands for."""
    if text is None:
        return range(1, layers + 1)
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    span = match and range(int(match[1]), int(match[2] or match[1]) + 1)
    if not span or span[0] < 1 or span[-1] > layers:
        raise UserError(f"--layers must be A..B from 1 to {layers}, not {text!r}")
    return span


def line(row):
    """A row for people."""
    text = f"{row['layers']:>3} layers  best token {row['token']:>6}, logit {row['logit']:12.6f}  "
    if row["equal"]:
        return text + "equal"
    (a, a_bits), (b, b_bits) = row["expected"], row["came"]
    return text + (
        f"{row['different']} differ, first number {row['rank'] + 1}: expected token {a}, "
        f"{as_float(a_bits)} ({a_bits:#010x}), came {b}, {as_float(b_bits)} ({b_bits:#010x})"
    )
