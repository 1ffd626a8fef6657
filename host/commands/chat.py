"""`headrace chat`: talk with a model."""

import sys
from itertools import chain

from ..chat import Chat
from ..errors import UserError
from ..progress import console
from ..statistics import Statistics
from . import images
from .run import (add_device, add_sampling, check_device, device_of, reading, sampler_of,
                  session_of, tokenizer_of)


HELP = "/reset forgets the conversation, /exit or Ctrl-D ends, Ctrl-C stops an answer"


def register(commands):
    parser = commands.add_parser("chat", help="talk with a model",
                                 description=f"Talk with a model. {HELP}. The conversation stays in "
                                 "the device's KV cache: each turn reads only what is new.")
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
    tokenizer = tokenizer_of(image)
    tokenizer.chat([{"role": "user", "content": ""}])  # before a device takes minutes to build
    device = device_of(args, config)
    try:
        device.load(image)
        chat = Chat(session_of(device, image, config), tokenizer, args.system)
        if sys.stdin.isatty():
            console().print(f"{image.model['name']} on {args.device}. {HELP}.", style="dim")
        for question in questions():
            if question == "/exit":
                break
            if question == "/reset":
                chat.reset()
            elif question:
                answer(chat, question, args, sampler, lambda: reading(device, image, config),
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
