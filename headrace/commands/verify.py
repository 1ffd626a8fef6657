"""`headrace verify`: is an image whole, and its program legal?"""

import json
from dataclasses import dataclass

from host.errors import UserError

from ..library.verification import wrong_with
from ..options import read


PLACE = 40  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace verify` is told."""

    image: str
    json: bool


def register(commands):
    parser = commands.add_parser(
        "verify",
        help="check a program image without running it",
        description="Check that an image is whole, and that its program keeps "
        "the rules of docs/isa.md at its corner positions, columns and head "
        "settings. Exit code 0 if so, else 2.",
    )
    parser.add_argument("image", metavar="IMAGE", help="program image: *.safetensors")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print what is wrong as JSON: rule, where, expected, found",
    )
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    wrong = wrong_with(options.image)
    if options.json:
        print(json.dumps(wrong or {}))
        return 2 if wrong else 0
    if wrong is None:
        print(f"{options.image}: whole, and its program is legal")
    elif wrong["rule"] == "image":
        raise UserError(wrong["found"])
    else:
        raise UserError(
            f"{options.image}: {wrong['where']} breaks the rule `{wrong['rule']}` (docs/isa.md): "
            f"expected {wrong['expected']}, found {wrong['found']}; compile the model again"
        )
    return 0
