"""`headrace eval`: is it still the model? Measured against float32 and an independent oracle."""

import json
import math
from pathlib import Path

from ..errors import UserError
from ..progress import console, progress
from . import images
from .run import add_device, check_device, device_of, session_of, tokenizer_of


WINDOW = 512    # positions that perplexity is measured in, each window anew


def register(commands):
    parser = commands.add_parser(
        "eval", help="compare with the float32 model",
        description="Compare the machine with the float32 model: how often the best token is the "
                    "same along an oracle's own token paths, and perplexity on a text.")
    images.add_arguments(parser)
    parser.add_argument("--oracle", metavar="FILE",
                        help="JSON with `items` of `prompt_ids` and `f32_gen_ids`")
    parser.add_argument("--text", metavar="FILE", help="UTF-8 text to measure perplexity on "
                        "(needs --device model, and torch for the reference)")
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
    text = None if args.text is None else read_text(args)
    image = images.obtain(args)
    config = images.config_of(image, args.config)
    if oracle:
        for item in oracle:
            check = session_of(None, image, config).check
            check(item["prompt_ids"] + item["f32_gen_ids"])
    device = device_of(args, config)
    out = {}
    try:
        device.load(image)
        if oracle is not None:
            out |= agreement(lambda: session_of(device, image, config), oracle)
        if text is not None:
            ids = tokenizer_of(image).encode(text)[:args.max_tokens]
            out |= perplexities(args, image, device, config, ids)
    finally:
        device.close()
    if args.json:
        print(json.dumps(out))
    else:
        show(out)


def read_oracle(path):
    """Items of an oracle's file."""
    try:
        items = json.loads(Path(path).read_text("utf-8"))["items"]
        for item in items:
            for key in ("prompt_ids", "f32_gen_ids"):
                if not item[key] or not all(isinstance(n, int) for n in item[key]):
                    raise ValueError(f"{key!r} must be a list of integers")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: must be JSON with 'items' of 'prompt_ids' and 'f32_gen_ids': "
                        f"{error}") from None
    return items


def read_text(args):
    if args.device != "model":
        raise UserError(f"--text needs --device model, which has all logits, not {args.device}")
    if images.is_image(args.model):
        raise UserError(f"{args.model}: --text needs the model itself for its reference, not an image")
    if args.max_tokens < 2:
        raise UserError(f"--max-tokens must be at least 2, not {args.max_tokens}")
    try:
        return Path(args.text).read_text("utf-8")
    except OSError as error:
        raise UserError(f"{args.text}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{args.text}: must be UTF-8: {error}") from None


def agreement(new_session, items):
    """How often the device's best token is the oracle's next, on the oracle's own path."""
    positions = same = 0
    total = sum(len(item["f32_gen_ids"]) for item in items)
    with progress("following the oracle") as report:
        for item in items:
            session, path = new_session(), list(item["prompt_ids"])
            for expected in item["f32_gen_ids"]:
                step = session.feed(path)[-1]
                same += int(step.ids[0]) == expected
                positions += 1
                path.append(expected)
                report(positions, total)
    return {"positions": positions, "top1_agreement": same / positions}


def nats(logits, target):
    """-log p(target), from all logits."""
    import numpy as np
    logits = np.asarray(logits, np.float64)
    top = logits.max()
    return float(top + np.log(np.exp(logits - top).sum()) - logits[target])


def perplexities(args, image, device, config, ids):
    """Perplexity of the machine and of float32 on the same windows."""
    window = min(WINDOW, image.context)
    windows = [ids[n:n + window] for n in range(0, len(ids), window)]
    windows = [w for w in windows if len(w) > 1]
    if not windows:
        raise UserError(f"{args.text}: must have at least 2 tokens, not {len(ids)}")
    predicted = sum(len(w) - 1 for w in windows)
    machine, done = 0.0, 0
    with progress("perplexity") as report:
        for w in windows:
            for at in range(0, len(w) - 1, config.columns):
                batch = w[at:min(at + config.columns, len(w) - 1)]
                device.step(batch, at, True)
                machine += sum(nats(logits, w[at + n + 1])
                               for n, logits in enumerate(device.logits[:len(batch)]))
                done += len(batch)
                report(done, predicted)
    reference = reference_nats(args, windows)
    return {"tokens": predicted, "perplexity": math.exp(machine / predicted),
            "reference_perplexity": math.exp(reference / predicted)}


def reference_nats(args, windows):
    """Sum of -log p of float32 PyTorch."""
    try:
        import torch
        from sw_ref.llama import Float32
    except ImportError:
        raise UserError("eval: --text needs PyTorch for the float32 reference; "
                        "run: pip install torch==2.13.0") from None
    from mapper.find import load
    model, total = Float32(load(args.model, args.bits)), 0.0
    with progress("float32 reference") as report:
        for n, w in enumerate(windows):
            report(n, len(windows))
            log_p = torch.log_softmax(model(w[:-1]).double(), -1)
            total -= float(log_p[torch.arange(len(w) - 1), torch.tensor(w[1:])].sum())
    return total


def show(figures):
    """Print the figures for people."""
    out = console(stderr=False)
    if "positions" in figures:
        out.print(f"best token as the oracle's in {100 * figures['top1_agreement']:.1f} % of "
                  f"{figures['positions']} positions")
    if "perplexity" in figures:
        change = figures["perplexity"] / figures["reference_perplexity"] - 1
        out.print(f"perplexity {figures['perplexity']:.3f}, float32 "
                  f"{figures['reference_perplexity']:.3f} ({100 * change:+.2f} %), over "
                  f"{figures['tokens']} tokens in windows of {WINDOW}")
