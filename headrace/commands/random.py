"""`headrace random`: random programs and models, RTL against the functional model."""

from dataclasses import dataclass

from host.errors import UserError

from ..options import MachineOptions, add_machine, read


PLACE = 140  # in `headrace --help`
DEFAULT_CONFIG = "small"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace random` is told."""

    machine: MachineOptions
    n: int
    seed: int
    again: str | None
    illegal: bool
    models: bool
    checked: bool


def register(commands):
    parser = commands.add_parser(
        "random",
        help="run random programs or models on both machines",
        description="Run random programs on the simulated FPGA and on the functional model, and "
        "compare every "
        "bit. Ends with the line `N passed, N failed`, and with 1 if any failed.",
    )
    parser.add_argument(
        "-n", type=int, default=100, metavar="N", help="programs, or models (default: 100)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="what chooses them (default: 1)"
    )
    add_machine(parser, f"{DEFAULT_CONFIG}; of models, eight in turn")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--again", metavar="FILE", help="run the program in a file of build/random instead"
    )
    kind.add_argument("--illegal", action="store_true", help="programs with a mistake each")
    kind.add_argument("--models", action="store_true", help="models instead of programs")
    parser.add_argument(
        "--checked",
        action="store_true",
        help="programs with checkers on all streams, and a random state at power-up",
    )
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    if options.n < 1:
        raise UserError(f"-n must be at least 1, not {options.n}")
    count = 1 if options.again else options.n
    failures = try_programs(options) if not options.models else try_models(options)
    print(f"{count - failures} passed, {failures} failed")
    return 1 if failures else 0


def try_programs(options: Options) -> int:
    """Run programs. Returns how many failed."""
    from sim.programs import illegal, trials

    if options.again:
        return trials.again(options.again)
    config = options.machine.machine(DEFAULT_CONFIG)
    if options.illegal:
        return illegal.try_all(config, options.n, options.seed, trials.programs)
    return trials.run(config, options.seed, options.n, options.checked)


def try_models(options: Options) -> int:
    """Run models. Returns how many failed."""
    from sim.models import configs, trials

    if options.machine.given:
        chosen = [options.machine.machine(DEFAULT_CONFIG, besides=configs.CONFIGS)]
    else:
        chosen = list(configs.CONFIGS.values())[: options.n]
    return trials.run(chosen, options.seed, options.n)
