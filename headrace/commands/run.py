"""`headrace run`: answer one prompt."""

import json
import sys
from dataclasses import dataclass
from itertools import chain

from host.errors import UserError
from host.language.sampling import Sampler, Sampling
from host.language.statistics import Statistics
from host.language.text import read_text
from host.progress import below, console

from ..library.reading import reading
from ..library.runner import Answer, Runner, check_tokens
from ..options import DeviceOptions, ModelOptions, add_device, add_model, add_sampling, read


PLACE = 10  # in `headrace --help`
DEFAULT_PROMPT = "The capital of Germany is"
PROMPT_BYTES = 8 << 20  # no context has room for more


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace run` is told."""

    model: ModelOptions
    device: DeviceOptions
    sampling: Sampling
    prompt: str | None
    prompt_file: str | None
    chat: bool
    tokens: int
    json: bool


def register(commands):
    parser = commands.add_parser(
        "run",
        help="answer a prompt",
        description="Answer a prompt. Text comes as it is generated, then "
        "cycles per token, utilization of the memory, and tokens/s at the "
        "configured clock.",
    )
    add_model(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt",
        metavar="TEXT",
        help=f"the prompt; - reads it from stdin (default: {DEFAULT_PROMPT!r})",
    )
    prompt.add_argument(
        "--prompt-file",
        metavar="FILE",
        help="read the prompt from a UTF-8 text; a line break at its end is no part of it",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--raw",
        action="store_true",
        help="continue the prompt as it stands (default: fewest tokens to read)",
    )
    form.add_argument("--chat", action="store_true", help="put the prompt into the chat template")
    parser.add_argument(
        "--tokens",
        type=int,
        default=32,
        metavar="N",
        help="tokens to generate at most (default: 32)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    add_device(parser, "sim")
    add_sampling(parser, temperature=0.0, top_p=1.0)
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    check_tokens(options.tokens, "--tokens")
    options.device.check()
    prompt = prompt_of(options.prompt, options.prompt_file)
    model, machine = options.model.load()
    image = model.image(machine, context=options.model.context)
    with options.device.runner(image, machine) as runner:
        if options.chat and not runner.tokenizer.chat_template:
            raise UserError("--chat: the model file has no chat template; use --raw")
        ids = runner.encode(prompt, chat=options.chat)  # before a device takes minutes to build
        shown = not options.json
        answer = stream(runner, ids, options, prompt if shown and not options.chat else "", shown)
    if options.json:
        print(json.dumps(figures(answer, options.device.device)))
    else:
        statistics = Statistics(image, machine, answer.tokens)
        console().print(statistics.line, style="dim", soft_wrap=not sys.stderr.isatty())


def stream(runner: Runner, ids: list[int], options: Options, prompt: str, shown: bool) -> Answer:
    """Generate an answer, which is printed behind the prompt as it comes if it is `shown`."""
    session, tokens = runner.session(), []
    try:
        with reading(runner) as report:
            generated = runner.answer(
                session, ids, options.tokens, Sampler(options.sampling), report
            )
            first = next(generated)
        print(prompt, end="", flush=True)
        runner.device.progress = lambda cycles: below(f"{cycles:,} cycles")
        for token in chain([first], generated):
            tokens.append(token)
            below()
            if shown:
                print(token.text, end="", flush=True)
        if shown:
            print(flush=True)
    finally:
        below()
    return runner.answered(ids, session, tokens)


def figures(answer: Answer, device: str) -> dict:
    """An answer as one JSON object."""
    tokens = answer.tokens
    return {
        "prompt_ids": answer.prompt_ids,
        "token_ids": [t.id for t in tokens],
        "text": answer.text,
        "top_ids": [t.top_ids for t in tokens],
        "top_logits": [t.top_logits for t in tokens],
        "cycles": [t.cycles for t in tokens],
        "token_seconds": [t.seconds for t in tokens],
        "stopped": answer.stopped,
        "device": device,
        **answer.figures,
    }


def prompt_of(text: str | None, file: str | None) -> str:
    """The prompt, from wherever it comes."""
    path = "-" if text == "-" else file
    if path is None:
        prompt, name = DEFAULT_PROMPT if text is None else text, "--prompt"
    else:
        prompt, name = read_text(path, most=PROMPT_BYTES), "stdin" if path == "-" else path
        prompt = prompt.removesuffix("\n").removesuffix("\r")
    if not prompt:
        raise UserError(f"{name}: must be a text, it is empty")
    return prompt
