"""`headrace mutate`: random bugs in components, which their benches must kill."""

from dataclasses import dataclass

from host.errors import UserError

from ..options import MachineOptions, add_machine, read


PLACE = 150  # in `headrace --help`
DEFAULT_CONFIG = "small"
TOP = "top-net"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace mutate` is told."""

    machine: MachineOptions
    unit: str
    n: int
    seed: int
    only: int | None
    programs: int
    models: int


def register(commands):
    parser = commands.add_parser(
        "mutate",
        help="put random bugs into components, and run their benches",
        description="Put bugs into components at random, and run their benches. The last line is "
        "`N passed, N "
        "failed`: a mutant passes when it is killed, or when it is proven that nothing can.",
    )
    parser.add_argument(
        "unit",
        metavar="UNIT",
        help="a bench; all: those of all, in proportion to the lines that "
        f"they answer for; {TOP}: random programs and models on the whole accelerator",
    )
    parser.add_argument("-n", type=int, default=20, metavar="N", help="mutants (default: 20)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="what chooses them (default: 1)"
    )
    parser.add_argument("--only", type=int, metavar="K", help="run a bench's K-th mutant alone")
    parser.add_argument(
        "--programs", type=int, default=200, metavar="N", help=f"of {TOP} (default: 200)"
    )
    parser.add_argument(
        "--models", type=int, default=30, metavar="N", help=f"of {TOP} (default: 30)"
    )
    add_machine(parser, f"{DEFAULT_CONFIG}, of {TOP}")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    check(options)
    from sim.mutate.verdicts import of_top, of_unit, tally

    if options.unit == TOP:
        config = options.machine.machine(DEFAULT_CONFIG)
        mutants = of_top(
            config, options.n, options.seed, (options.programs, options.models), options.only
        )
        found = [(TOP, options.n, mutants)]
    else:
        found = of_unit(options.unit, options.n, options.seed, options.only)
    return 1 if tally(found) else 0


def check(options: Options) -> None:
    """Refuse numbers that are out of range, and a configuration where none counts."""
    for name, value, least in (
        ("-n", options.n, 1),
        ("--programs", options.programs, 1),
        ("--models", options.models, 0),
    ):
        if value < least:
            raise UserError(f"{name} must be at least {least}, not {value}")
    if options.only is not None and not 1 <= options.only <= options.n:
        raise UserError(f"--only must be from 1 to {options.n}, not {options.only}")
    if options.unit != TOP and options.machine.given:
        raise UserError(f"--config and --set are of {TOP}; a bench has configurations of its own")
