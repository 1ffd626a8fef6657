"""`headrace verilog`: the whole accelerator, or a linear core, as plain Verilog."""

from dataclasses import dataclass

from host.errors import UserError
from host.progress import console
from rtl.spec.config import CORES

from ..library.machines import DEFAULT
from ..library.verilog import verilog, with_core
from ..options import MachineOptions, add_machine, read


PLACE = 100  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace verilog` is told."""

    machine: MachineOptions
    core: str | None
    output: str


def register(commands):
    parser = commands.add_parser(
        "verilog",
        help="write the accelerator, or a core, as plain Verilog",
        description="Write the whole accelerator as one Verilog file that needs "
        "no framework, and what a driver must know: registers and instructions. Or write "
        "a linear core alone, with its manual and a testbench.",
    )
    add_machine(parser, DEFAULT)
    parser.add_argument("--core", metavar="NAME", help=f"only a linear core: {', '.join(CORES)}")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write to")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    if not options.output:
        raise UserError("--output must be a folder to write to, it is empty")
    config = with_core(options.machine.machine(), options.core, "--core")
    files = verilog(config, options.output, core=options.core is not None)
    console(stderr=False).print(
        f"{options.output}: {', '.join(path.name for path in files)} (configuration "
        f"{config.name}, digest {config.digest[:8]})",
        soft_wrap=True,
    )
