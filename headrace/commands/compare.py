"""`headrace compare`: a device beside the functional model, layer by layer, then node by node."""

import json
import re

import numpy as np

from ..devices import create
from host.errors import UserError
from host.language.generate import Session
from host.progress import console, progress
from ..nodes import can_look, first_node
from . import images
from .run import add_device, check_device, device_of, tokenizer_of


DEFAULT_PROMPT = "The capital of Germany is"


def register(commands):
    parser = commands.add_parser(
        "compare", help="compare a device with the functional model, layer by layer",
        description="Run the first layer, the first two layers, and so on, each followed by the head, on a "
                    "device and on the functional model, and compare the best logits of the first answer "
                    "token, bit by bit. Of the first layer that differs, a device that shows its memories is asked "
                    "for the first node. Ends with 1 if anything differs.")
    images.add_arguments(parser)
    parser.add_argument("--prompt", default=DEFAULT_PROMPT, metavar="TEXT",
                        help=f"(default: {DEFAULT_PROMPT!r})")
    parser.add_argument("--layers", metavar="A..B", help="after how many layers to look (default: all)")
    parser.add_argument("--bisect", action="store_true",
                        help="only find the first layer that differs, which takes fewer runs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser, "sim")
    parser.set_defaults(run=run)


def run(args):
    check_device(args)
    if not args.prompt:
        raise UserError("--prompt must be a text, it is empty")
    image, config = images.obtain(args)
    span = layers_of(args.layers, image.model["layers"])
    ids = tokenizer_of(image).encode(args.prompt)
    session(None, image, config.columns).check(ids)  # before a device takes minutes to build
    model, device = create("model", config), device_of(args, config)
    try:
        comparison = Comparison(image, [model, device], config.columns)
        rows = list(look(comparison, ids, span, args))
        wrong = min((row["layers"] for row in rows if not row["equal"]), default=None)
        node = hint = None
        if wrong is not None:
            hint = narrow(comparison, ids, wrong)
            if can_look(comparison.devices):
                node = first_node(image, config, comparison.devices, ids, wrong, config.columns)
    finally:
        model.close()
        device.close()
    if args.json:
        print(json.dumps({"config": config.name, "device": args.device, "prompt_ids": ids,
                          "rows": rows, "first_difference": wrong, "node": node, "hint": hint}))
    elif wrong is None:
        print(f"{args.device} and the functional model agree, bit by bit, wherever they were compared")
    else:
        where = "" if node is None else f", and there {node!r}"
        print(f"layer {wrong} is the first that differs{where}: {hint}")
    return 0 if wrong is None else 1


def layers_of(text, layers):
    """The range that ``A..B`` or ``A`` stands for."""
    if text is None:
        return range(1, layers + 1)
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    span = match and range(int(match[1]), int(match[2] or match[1]) + 1)
    if not span or span[0] < 1 or span[-1] > layers:
        raise UserError(f"--layers must be A..B from 1 to {layers}, not {text!r}")
    return span


def session(device, image, columns):
    return Session(device, context=image.context, columns=columns, vocab=image.vocab)


class Comparison:
    """Best logits of several devices, of which the first is right."""
    def __init__(self, image, devices, columns):
        self.image, self.devices, self.columns = image, devices, columns

    def best(self, device, image, ids, columns):
        """Best ids, and their logits' bits, after a prompt."""
        device.load(image)
        step = session(device, image, columns).feed(ids)[-1]
        return [(int(n), int(bits)) for n, bits in
                zip(step.ids, np.asarray(step.logits, np.float32).view(np.uint32))]

    def __call__(self, ids, layers, columns=None):
        """What comes after so many layers, as a dictionary."""
        from mapper.truncate import first_layers
        image = first_layers(self.image, layers)
        right, other = (self.best(d, image, ids, columns or self.columns) for d in self.devices)
        differ = [n for n, (a, b) in enumerate(zip(right, other)) if a != b]
        row = {"layers": layers, "equal": not differ, "token": right[0][0],
               "logit": as_float(right[0][1]), "different": len(differ)}
        if differ:
            row |= {"rank": differ[0], "expected": right[differ[0]], "came": other[differ[0]]}
        return row


def as_float(bits):
    return float(np.uint32(bits).view(np.float32))


def look(comparison, ids, span, args):
    """Yield a row for each number of layers that is looked at, and print it."""
    out = console(stderr=False)

    def at(layers):
        report(what=f"{layers} of {comparison.image.model['layers']} layers")
        row = comparison(ids, layers)
        if not args.json:
            out.print(line(row), soft_wrap=True)
        return row

    with progress("comparing") as report:
        if not args.bisect:
            for done, layers in enumerate(span):
                report(done, len(span))
                yield at(layers)
            return
        low, high = span[0], span[-1]
        yield (row := at(high))
        while not row["equal"] and low < high:
            middle = (low + high) // 2
            report(high - low)
            yield (found := at(middle))
            low, high = (middle + 1, high) if found["equal"] else (low, middle)


def line(row):
    """A row for people."""
    text = f"{row['layers']:>3} layers  best token {row['token']:>6}, logit {row['logit']:12.6f}  "
    if row["equal"]:
        return text + "equal"
    (a, a_bits), (b, b_bits) = row["expected"], row["came"]
    return text + (f"{row['different']} differ, first number {row['rank'] + 1}: expected token {a}, "
                   f"{as_float(a_bits)} ({a_bits:#010x}), came {b}, {as_float(b_bits)} ({b_bits:#010x})")


def narrow(comparison, ids, layers):
    """A hint where to look on, from what makes the difference go away."""
    with progress("narrowing down") as report:
        if comparison.columns > 1 and comparison(ids, layers, columns=1)["equal"]:
            return "only with several columns at a time; look at loops over columns and their strides"
        for length in range(1, len(ids) + 1):
            report(length, len(ids))
            if not comparison(ids[:length], layers, columns=1)["equal"]:
                break
    if length == 1:
        return ("at the first position already, where attention has one key; look at matrix products, norms, "
                "rotation and gate: make sim UNIT=linear_unit, UNIT=vector_unit")
    return (f"from position {length - 1} on; look at attention and the KV cache: make sim UNIT=attention, "
            "UNIT=append, UNIT=memory_writer")
