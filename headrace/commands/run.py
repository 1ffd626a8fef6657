"""`headrace run`: answer one prompt."""

import json
import sys
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from ..devices import check, create
from host.errors import UserError
from host.files import check_target
from host.language.generate import Session
from host.progress import below, console, progress, steps
from host.language.sampling import BEST, Sampler, Sampling
from host.language.statistics import Statistics
from host.language.text import read_text
from host.language.tokenizer import TextStream, Tokenizer
from . import images


DEFAULT_PROMPT = "The capital of Germany is"
PROMPT_BYTES = 8 << 20   # no context has room for more


def register(commands):
    parser = commands.add_parser("run", help="answer a prompt",
                                 description="Answer a prompt. Text comes as it is generated, then "
                                 "cycles per token, utilization of the memory, and tokens/s at the "
                                 "configured clock.")
    images.add_arguments(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument("--prompt", metavar="TEXT",
                        help=f"the prompt; - reads it from stdin (default: {DEFAULT_PROMPT!r})")
    prompt.add_argument("--prompt-file", metavar="FILE",
                        help="read the prompt from a UTF-8 text; a line break at its end is no "
                             "part of it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--raw", action="store_true",
                      help="continue the prompt as it stands (default: fewest tokens to read)")
    form.add_argument("--chat", action="store_true", help="put the prompt into the chat template")
    parser.add_argument("--tokens", type=int, default=32, metavar="N",
                        help="tokens to generate at most (default: 32)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    add_device(parser, "sim")
    add_sampling(parser, temperature=0.0, top_p=1.0)
    parser.set_defaults(run=run)


FILES = ("pynq", "xrt")   # devices whose place is a file


def add_device(parser, default):
    """Options that say where to run."""
    parser.add_argument("--device", default=default, metavar="NAME",
                        help="model: functional model; sim: cycle-accurate simulated FPGA; "
                             "uart:PORT[:BAUD]: a board; pynq:FILE.bit, xrt:FILE.xclbin: this board, or a card "
                             f"(default: {default})")
    parser.add_argument("--timeline", metavar="FILE",
                        help="with --device sim: write what the units do, for Perfetto")


def add_sampling(parser, temperature, top_p):
    """Options that say how to choose tokens."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--greedy", action="store_const", const=0.0, dest="temperature",
                        help="always the best token" + (" (default)" if not temperature else ""))
    choice.add_argument("--temperature", type=float, metavar="T",
                        help="0 is greedy" + (f" (default: {temperature})" if temperature else ""))
    parser.set_defaults(temperature=temperature)
    parser.add_argument("--top-k", type=int, default=BEST, metavar="K",
                        help=f"choose among the K best, at most {BEST}")
    parser.add_argument("--top-p", type=float, default=top_p, metavar="P",
                        help="choose among the best that have this probability together")
    parser.add_argument("--seed", type=int, metavar="N", help="make sampling repeatable")


def sampler_of(args):
    """What `args` say of sampling."""
    return Sampler(Sampling(temperature=args.temperature, top_k=args.top_k, top_p=args.top_p,
                            seed=args.seed))


def tokenizer_of(image):
    """The tokenizer that an image carries."""
    return Tokenizer.from_json(image.tokenizer["json"], bos=image.model["bos"],
                               eos=image.model["eos"], chat_template=image.tokenizer["chat_template"])


def check_device(args):
    """Refuse what cannot be created, before anything takes time."""
    kind, place = check(args.device, "--device")
    if kind in FILES and not Path(place).is_file():
        raise UserError(f"--device {args.device}: {place} must be a file, but is not")
    if kind == "uart" and place.startswith("/"):   # elsewhere, ports are no paths
        from host.link.device import address
        port, _ = address(place)
        if not Path(port).exists():
            raise UserError(f"--device {args.device}: there is no port {port}; is the board "
                            "connected?")
    if args.timeline is not None:
        if args.device != "sim":
            raise UserError(f"--timeline needs --device sim, not {args.device}")
        if not Path(args.timeline).resolve().parent.is_dir():
            raise UserError(f"{args.timeline}: its folder must exist")
        check_target(args.timeline)


def device_of(args, config):
    """The device that `args` ask for."""
    if args.device != "sim":
        return create(args.device, config)
    options = {} if args.timeline is None else {"timeline": args.timeline}
    with steps(f"building the simulated FPGA, once ({config.name})") as step:
        return create(args.device, config, build_progress=step, **options)


def prompt_of(args):
    """The prompt that `args` give, from wherever it comes."""
    path = "-" if args.prompt == "-" else args.prompt_file
    if path is None:
        text, name = DEFAULT_PROMPT if args.prompt is None else args.prompt, "--prompt"
    else:
        text, name = read_text(path, most=PROMPT_BYTES), "stdin" if path == "-" else path
        text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UserError(f"{name}: must be a text, it is empty")
    return text


def session_of(device, image, config):
    """A session on a device, with the image loaded."""
    return Session(device, context=image.context, columns=config.columns, vocab=image.vocab,
                   eos=image.model["eos"])


@contextmanager
def reading(device, image, config):
    """Show how much of a prompt is read. Gives the `progress` of :meth:`~host.language.generate.Session.feed`."""
    what, cycles, at, batch = "reading the prompt", image.report["estimated_cycles_per_token"], 0, 0

    def fed(done, total):
        nonlocal at, batch
        at, batch = done, min(config.columns, total - done)
        report(done, total)

    with progress(what) as report:
        device.progress = lambda n: report(at + batch * min(1, n / cycles), what=f"{what}, {n:,} cycles")
        try:
            yield fed
        finally:
            device.progress = None


def run(args):
    if args.tokens < 1:
        raise UserError(f"--tokens must be at least 1, not {args.tokens}")
    check_device(args)
    sampler = sampler_of(args)
    prompt = prompt_of(args)
    image, config = images.obtain(args)
    tokenizer = tokenizer_of(image)
    text = tokenizer.chat([{"role": "user", "content": prompt}]) if args.chat else prompt
    ids = tokenizer.encode(text)
    session_of(None, image, config).check(ids)  # before a device takes minutes to build
    device = device_of(args, config)
    try:
        device.load(image)
        session = session_of(device, image, config)
        tokens, stream = [], TextStream(tokenizer)
        with reading(device, image, config) as report:
            generated = session.generate(ids, args.tokens, sampler, report)
            first = next(generated)
        if not (args.json or args.chat):
            print(text, end="", flush=True)
        device.progress = lambda cycles: below(f"{cycles:,} cycles")
        for token in chain([first], generated):
            tokens.append(token)
            below()
            if not args.json:
                print(stream.add(token.id), end="", flush=True)
        if not args.json:
            print(stream.finish(), flush=True)
    finally:
        below()
        device.close()
    statistics = Statistics(image, config, tokens)
    if args.json:
        print(json.dumps({
            "prompt_ids": ids, "token_ids": [t.id for t in tokens],
            "text": tokenizer.decode([t.id for t in tokens]),
            "top_ids": [t.top_ids for t in tokens], "top_logits": [t.top_logits for t in tokens],
            "cycles": [t.cycles for t in tokens],
            "token_seconds": [t.seconds for t in tokens], "stopped": session.stopped, "device": args.device,
            **statistics.figures}))
    else:
        console().print(statistics.line, style="dim", soft_wrap=not sys.stderr.isatty())
