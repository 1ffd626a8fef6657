"""`headrace verilog`: the whole accelerator as plain Verilog."""

from pathlib import Path

from rtl import config as configs

from ..errors import UserError
from ..files import replacing
from ..progress import console
from . import images


def register(commands):
    parser = commands.add_parser("verilog", help="write the accelerator as plain Verilog",
                                 description="Write the whole accelerator as one Verilog file that needs "
                                 "no framework, and what a driver must know: registers and instructions.")
    parser.add_argument("--config", metavar="NAME", choices=configs.CONFIGS,
                        default=images.DEFAULT_CONFIG,
                        help=f"{', '.join(configs.CONFIGS)} (default: {images.DEFAULT_CONFIG})")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="folder to write to")
    parser.set_defaults(run=run)


def run(args):
    from rtl.verilog import emit
    from sim.document import generate
    config, folder = configs.get(args.config), Path(args.output)

    def document(name):
        return lambda path: path.write_text(generate(Path("docs") / name))

    files = {"headrace.v": lambda path: emit(config, path),
             "registers.md": document("registers.md"), "isa.md": document("isa.md")}
    try:
        with console().status("generating Verilog"):
            for name, write in files.items():
                with replacing(folder / name) as path:
                    write(path)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    console(stderr=False).print(f"{folder}: {', '.join(files)} (configuration {config.name}, "
                                f"digest {config.digest[:8]})", soft_wrap=True)
