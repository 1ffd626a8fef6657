"""`headrace verilog`: the whole accelerator, or a linear core, as plain Verilog."""

from dataclasses import replace
from pathlib import Path

from rtl.spec import config as configs

from host import configurations
from host.errors import UserError
from host.files import replacing
from host.progress import console
from . import images


def register(commands):
    parser = commands.add_parser("verilog", help="write the accelerator, or a core, as plain Verilog",
                                 description="Write the whole accelerator as one Verilog file that needs "
                                 "no framework, and what a driver must know: registers and instructions. Or write "
                                 "a linear core alone, with its manual and a testbench.")
    configurations.add_arguments(parser, images.DEFAULT_CONFIG)
    parser.add_argument("--core", metavar="NAME",
                        help=f"only a linear core: {', '.join(configs.CORES)}")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write to")
    parser.set_defaults(run=run)


def run(args):
    if not args.output:
        raise UserError("--output must be a folder to write to, it is empty")
    from amaranth.back.verilog import YosysError
    config, folder = config_of(args), Path(args.output)
    files = accelerator(config) if args.core is None else core(config)
    try:
        with console().status("generating Verilog"):
            for name, write in files.items():
                with replacing(folder / name) as path:
                    write(path)
    except YosysError as error:   # the hardware is right: its surroundings are not
        said = str(error).strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"yosys failed: {said[0]}; is there room for temporary files?") from None
    console(stderr=False).print(f"{folder}: {', '.join(files)} (configuration {config.name}, "
                                f"digest {config.digest[:8]})", soft_wrap=True)


def config_of(args):
    """The configuration that `args` ask for, with the core that they do."""
    config = configurations.chosen(args, images.DEFAULT_CONFIG)
    if args.core is None or args.core == config.core:
        return config
    if args.core not in configs.CORES:
        raise UserError(f"--core must be one of {', '.join(configs.CORES)}, not {args.core!r}")
    stem = config.name.removesuffix(f"-{config.core}")
    return replace(config, name=f"{stem}-{args.core}", core=args.core, formats=())


def accelerator(config):
    """Files of the whole accelerator, as functions that write them."""
    from rtl.verilog import emit
    from headrace.docs.generate import generate

    def document(name):
        return lambda path: path.write_text(generate(Path("docs") / name))

    return {"headrace.v": lambda path: emit(config, path),
            "registers.md": document("registers.md"), "isa.md": document("isa.md")}


def core(config):
    """Files of the linear core."""
    from rtl.cores import standalone
    from rtl.standalone.manual import manual
    from rtl.standalone.core import Standalone
    from rtl.standalone.testbench import testbench
    from rtl.verilog import emit_core
    core = Standalone(standalone(config))
    return {f"{core.name}.v": lambda path: emit_core(core, path),
            "README.md": lambda path: path.write_text(manual(core)),
            "testbench.sv": lambda path: path.write_text(testbench(core))}
