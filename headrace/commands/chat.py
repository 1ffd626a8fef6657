"""`headrace chat`: talk with a model."""

import sys
from itertools import chain

from ..chat import Chat
from host.errors import UserError
from host.progress import console
from host.language.statistics import Statistics
from host.language.templates import PLAIN, PLAIN_END
from . import images
from .run import (add_device, add_sampling, check_device, device_of, reading, sampler_of,
                  session_of, tokenizer_of)


COMMANDS = {
    "/help": "lists the commands",
    "/reset": "forgets the conversation",
    "/exit": "ends, as Ctrl-D does",
    "//": "begins a question with a /",
    "Ctrl-C": "stops an answer",
}
HELP = ", ".join(f"{name} {what}" for name, what in COMMANDS.items())
NO_TEMPLATE = ("the model file has no chat template: questions are put as `User: ...`, answers "
               "begin with `Assistant:`")


def register(commands):
    parser = commands.add_parser(
        "chat", help="talk with a model",
        description=f"Talk with a model. {HELP}. The conversation stays in the device's KV cache: "
                    "each turn reads only what is new. Where the model file has no chat template, "
                    "questions are put as `User: ...`, each on a line, and answers begin with "
                    "`Assistant:`.")
    images.add_arguments(parser)
    parser.add_argument("--system", metavar="TEXT", help="instructions before the conversation")
    parser.add_argument("--tokens", type=int, default=256, metavar="N",
                        help="tokens of an answer at most (default: 256)")
    add_device(parser, "model")
    add_sampling(parser, temperature=0.2, top_p=0.9)
    parser.set_defaults(run=run)


def questions():
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


def run(args):
    if args.tokens < 1:
        raise UserError(f"--tokens must be at least 1, not {args.tokens}")
    check_device(args)
    sampler = sampler_of(args)
    image, config = images.obtain(args)
    tokenizer, end = tokenizer_of(image), None
    if not tokenizer.chat_template:
        console().print(f"({NO_TEMPLATE})", style="dim", soft_wrap=True)
        tokenizer.chat_template, end = PLAIN, PLAIN_END
    before = [] if args.system is None else [{"role": "system", "content": args.system}]
    # Before a device takes minutes to build.
    tokenizer.chat([*before, {"role": "user", "content": ""}])
    device = device_of(args, config)
    try:
        device.load(image)
        chat = Chat(session_of(device, image, config), tokenizer, args.system, end)
        if sys.stdin.isatty():
            console().print(f"{image.model['name']} on {args.device}. /help lists the commands, "
                            "Ctrl-D ends.", style="dim", soft_wrap=True)
        for question in questions():
            if question == "/exit":
                break
            if question == "/help":
                console().print("\n".join(f"{name:8}{what}" for name, what in COMMANDS.items()))
            elif question == "/reset":
                chat.reset()
            elif question.startswith("/") and not question.startswith("//"):
                console().print(f"{question.split()[0]}: no such command; /help lists them, "
                                "// begins a question with a /", soft_wrap=True)
            elif question:
                answer(chat, question.removeprefix("/"), args, sampler,
                       lambda: reading(device, image, config),
                       lambda tokens: Statistics(image, config, tokens).line)
    finally:
        device.close()


def answer(chat, question, args, sampler, reading, summary):
    """Print the answer to a question."""
    tokens, forgotten = [], chat.forgotten
    answering = chat.answer(question, args.tokens, sampler, lambda *done: report(*done))
    try:
        with reading() as report:
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
    if chat.forgotten > forgotten:
        console().print(f"(the context is full: {chat.forgotten} messages are forgotten)", style="dim")
    if tokens and sys.stderr.isatty():
        console().print(summary(tokens), style="dim")
