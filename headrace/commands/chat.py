"""`headrace chat`: talk with a model."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from host.errors import UserError
from host.language.sampling import Sampler, Sampling
from host.language.statistics import Statistics
from host.language.templates import ANSWER, PLAIN, PLAIN_END, QUESTION
from host.progress import console

from ..conversation import Chat
from ..library.reading import reading
from ..library.runner import Runner, check_tokens
from ..options import DeviceOptions, ModelOptions, add_device, add_model, add_sampling, read


PLACE = 20  # in `headrace --help`
COMMANDS = {
    "/help": "lists the commands",
    "/reset": "forgets the conversation",
    "/exit": "ends, as Ctrl-D does",
    "//": "begins a question with a /",
    "Ctrl-C": "stops an answer",
}
HELP = ", ".join(f"{name} {what}" for name, what in COMMANDS.items())
PLAIN_FORM = f"questions are put as `{QUESTION} ...`, answers begin with `{ANSWER}`"
NO_TEMPLATE = f"the model file has no chat template: {PLAIN_FORM}"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace chat` is told."""

    model: ModelOptions
    device: DeviceOptions
    sampling: Sampling
    system: str | None
    tokens: int


def register(commands):
    parser = commands.add_parser(
        "chat",
        help="talk with a model",
        description=f"Talk with a model. {HELP}. The conversation stays in the device's KV cache: "
        "each turn reads only what is new. Where the model file has no chat template, "
        f"{PLAIN_FORM}.",
    )
    add_model(parser)
    parser.add_argument("--system", metavar="TEXT", help="instructions before the conversation")
    parser.add_argument(
        "--tokens",
        type=int,
        default=256,
        metavar="N",
        help="tokens of an answer at most (default: 256)",
    )
    add_device(parser, "model")
    add_sampling(parser, temperature=0.2, top_p=0.9)
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    check_tokens(options.tokens, "--tokens")
    options.device.check()
    model, machine = options.model.load()
    image = model.image(machine, context=options.model.context)
    with options.device.runner(image, machine) as runner:
        end = prepare(runner, options.system)  # before a device takes minutes to build
        chat = Chat(runner.session(), runner.tokenizer, options.system, end)
        if sys.stdin.isatty():
            console().print(
                f"{image.model['name']} on {options.device.device}. /help lists the commands, "
                "Ctrl-D ends.",
                style="dim",
                soft_wrap=True,
            )
        converse(chat, runner, options.tokens, Sampler(options.sampling))


def prepare(runner: Runner, system: str | None) -> str | None:
    """Find the form of a conversation. Returns what ends an answer besides the model's own
    tokens.
    """
    tokenizer, end = runner.tokenizer, None
    if not tokenizer.chat_template:
        console().print(f"({NO_TEMPLATE})", style="dim", soft_wrap=True)
        tokenizer.chat_template, end = PLAIN, PLAIN_END
    before = [] if system is None else [{"role": "system", "content": system}]
    tokenizer.chat([*before, {"role": "user", "content": ""}])
    return end


def questions() -> Iterator[str]:
    """What the user types, line by line."""
    if not sys.stdin.isatty():
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    import readline  # noqa: F401  input() then has history and editing

    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return


def converse(chat: Chat, runner: Runner, tokens: int, sampler: Sampler) -> None:
    """Answer what the user types until it ends."""
    for question in questions():
        if question == "/exit":
            break
        if question == "/help":
            console().print("\n".join(f"{name:8}{what}" for name, what in COMMANDS.items()))
        elif question == "/reset":
            chat.reset()
        elif question.startswith("/") and not question.startswith("//"):
            console().print(
                f"{question.split()[0]}: no such command; /help lists them, "
                "// begins a question with a /",
                soft_wrap=True,
            )
        elif question:
            answer(chat, question.removeprefix("/"), runner, tokens, sampler)


def answer(chat: Chat, question: str, runner: Runner, most: int, sampler: Sampler) -> None:
    """Print the answer to a question."""
    tokens, forgotten = [], chat.forgotten
    answering = chat.answer(question, most, sampler, lambda *done: report(*done))
    try:
        with reading(runner) as report:
            first = next(answering)
        for token, text in chain([first], answering):
            tokens.append(token)
            print(text, end="", flush=True)
    except KeyboardInterrupt:
        pass
    except UserError as error:
        # The conversation goes on: a question may simply have been too long.
        print(f"headrace: {error}", file=sys.stderr)
    finally:
        answering.close()
    print(flush=True)
    if tokens and chat.session.stopped == "context":
        console().print("(the context is full: the answer ends here)", style="dim")
    if chat.forgotten > forgotten:
        console().print(
            f"(the context is full: {chat.forgotten} messages are forgotten)", style="dim"
        )
    if tokens and sys.stderr.isatty():
        console().print(Statistics(runner.image, runner.machine, tokens).line, style="dim")
