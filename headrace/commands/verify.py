"""`headrace verify`: is an image whole, and its program legal?"""

import json
from dataclasses import dataclass

from host.errors import UserError
from host.image.image import Image
from host.image.schema import configuration

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


def check(path):
    """What is wrong with an image: {rule, where, expected, found}, or None."""
    from sw_ref.legal import IllegalProgram
    from sw_ref.verify import verify

    try:
        image = Image.load(path)
        config = configuration(image.accelerator)
    except UserError as error:
        return {
            "rule": "image",
            "where": str(path),
            "expected": "a whole image of this version",
            "found": str(error),
        }
    try:
        verify(
            config,
            image.memory,
            image.memory_units,
            image.writable,
            tuple(image.instructions),
            image.context,
            image.vocab,
        )
    except IllegalProgram as error:
        return {
            "rule": error.rule,
            "where": error.where,
            "expected": error.expected,
            "found": error.found,
        }
    return None


def run(args):
    options = read(Options, args)
    wrong = check(options.image)
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
