"""The `headrace` command."""

import argparse
import sys

from host.errors import UserError, run_command

from .commands import find
from .library.version import VERSION


__all__ = ["main"]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all of `headrace` does."""

    def error(self, message):
        raise UserError(f"{message}; see {self.prog} --help")

    def parse_known_args(self, *given, **options):
        """Refuse what is unknown here, where it is known which command's help to point to."""
        known, rest = super().parse_known_args(*given, **options)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest


def parser():
    """The parser of all commands."""
    out = Parser(
        prog="headrace",
        description="An open accelerator for language models: "
        "from a model file to tokens out of cycle-accurate hardware.",
    )
    out.add_argument("--version", action="version", version=VERSION)
    commands = out.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for module in find().values():
        module.register(commands)
    return out


def main(argv=None):
    """Run the command, return the exit code: see :func:`host.errors.run_command`."""

    def command():
        args = parser().parse_args(argv)
        return args.run(args)

    return run_command("headrace", command)


if __name__ == "__main__":
    sys.exit(main())
