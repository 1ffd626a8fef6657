"""`headrace eval`: is it still the model? Measured against float32 and an independent oracle."""

import json
import math

from host.errors import UserError
from host.progress import console, progress
from host.language.text import read_text
from . import images
from .run import add_device, check_device, device_of, session_of, tokenizer_of


WINDOW = 512    # tokens that perplexity is measured in, each window anew


def register(commands):
    parser = commands.add_parser(
        "eval", help="compare with the float32 model",
        description="Compare the machine with the float32 model: how often the best token is the "
                    "same along an oracle's own token paths, and perplexity on a text.")
    images.add_arguments(parser)
    parser.add_argument("--oracle", metavar="FILE",
                        help="JSON with `items` of `prompt_ids` and `f32_gen_ids`")
    parser.add_argument("--text", metavar="FILE",
                        help="UTF-8 text to measure perplexity on (needs --device model)")
    parser.add_argument("--max-tokens", type=int, default=2048, metavar="N",
                        help="tokens of the text to use (default: 2048)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device(parser, "model")
    parser.set_defaults(run=run)


def run(args):
    if args.oracle is None and args.text is None:
        raise UserError("eval: --oracle FILE or --text FILE must be given")
    check_device(args)
    oracle = None if args.oracle is None else read_oracle(args.oracle)
    text = None if args.text is None else text_of(args)
    image, config = image_of(args)
    for item in oracle or []:
        session_of(None, image, config).check(item["prompt_ids"] + item["f32_gen_ids"])
    windows = None if text is None else windows_of(args, image, text)
    device = device_of(args, config)
    out = {}
    try:
        device.load(image)
        if oracle is not None:
            out |= agreement(device, lambda: session_of(device, image, config), oracle)
        if windows is not None:
            out |= perplexities(args, device, windows)
    finally:
        device.close()
    if args.json:
        print(json.dumps(out))
    else:
        show(out)


def image_of(args):
    """The image to measure, and its configuration."""
    if args.device != "model" or args.config is not None or args.set or images.is_image(args.model):
        return images.obtain(args)
    # Numbers are the same in every configuration, so this takes the one that is done soonest.
    from sw_ref.evaluation import EVALUATION
    return images.obtain(args, EVALUATION)


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
        raise UserError(f"{path}: must be JSON with 'items' of 'prompt_ids' and 'f32_gen_ids': "
                        f"{error}") from None
    return items


def text_of(args):
    """The text, once everything else is as it must be."""
    if args.device != "model":
        raise UserError(f"--text needs --device model, which has all logits, not {args.device}")
    if images.is_image(args.model):
        raise UserError(f"{args.model}: --text needs the model itself for its reference, not an image")
    if args.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {args.max_tokens}")
    return read_text(args.text)


def windows_of(args, image, text):
    """The text's tokens, cut into windows."""
    from sw_ref.evaluation import windows
    ids = tokenizer_of(image).encode(text)[:args.max_tokens]
    if len(ids) < 2:
        raise UserError(f"{args.text}: must have at least 2 tokens, not {len(ids)}")
    return windows(ids, min(WINDOW, image.context))


def agreement(device, new_session, items):
    """How often the device's best token is the oracle's next, on the oracle's own path."""
    total = sum(len(item["f32_gen_ids"]) for item in items)
    with progress("following the oracle") as report:
        if hasattr(device, "logits"):
            from sw_ref.evaluation import top1_agreement
            pairs = [(item["prompt_ids"], item["f32_gen_ids"]) for item in items]
            positions, same = top1_agreement(device, pairs, lambda done: report(done, total))
            return {"positions": positions, "top1_agreement": same / positions}
        same = positions = 0
        for item in items:
            session, path = new_session(), list(item["prompt_ids"])
            for expected in item["f32_gen_ids"]:
                same += int(session.feed(path)[-1].ids[0]) == expected
                path.append(expected)
                positions += 1
                report(positions, total)
    return {"positions": positions, "top1_agreement": same / positions}


def perplexities(args, device, windows):
    """Perplexity of the machine and of float32 on the same windows."""
    from mapper.read.find import load
    from sw_ref.evaluation import float32_losses, machine_losses
    tokens, model = sum(len(w) - 1 for w in windows), load(args.model, args.bits)
    with progress("perplexity") as report:
        machine = machine_losses(device, windows, lambda done: report(done, tokens))
    with progress("the same in float32") as report:
        reference = float32_losses(model, windows, lambda done: report(done, len(model.layers)))
    return {"perplexity": math.exp(machine.mean()), "reference_perplexity": math.exp(reference.mean()),
            "tokens": tokens}


def show(figures):
    """Print the figures for people."""
    out = console(stderr=False)
    if "positions" in figures:
        out.print(f"best token as the oracle's in {100 * figures['top1_agreement']:.1f} % of "
                  f"{figures['positions']} positions", soft_wrap=True)
    if "perplexity" in figures:
        change = figures["perplexity"] / figures["reference_perplexity"] - 1
        out.print(f"perplexity {figures['perplexity']:.3f}, in float32 "
                  f"{figures['reference_perplexity']:.3f} ({100 * change:+.2f} %), over "
                  f"{figures['tokens']} tokens in windows of {WINDOW}", soft_wrap=True)
