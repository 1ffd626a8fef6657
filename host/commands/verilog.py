"""`headrace verilog`: the whole accelerator as plain Verilog."""

from pathlib import Path

from rtl import config as configs

from ..errors import UserError
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
    from rtl import csr, isa
    from rtl.verilog import emit
    config, folder = configs.get(args.config), Path(args.output)

    def text(lines):
        return lambda path: path.write_text("\n".join(lines) + "\n")

    files = {"headrace.v": lambda path: emit(config, path),
             "registers.md": text(csr.markdown()), "isa.md": text(isa.markdown())}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with console().status("generating Verilog"):
            for name, write in files.items():
                part = folder / f".{name}.part"
                try:
                    write(part)
                    part.replace(folder / name)
                finally:
                    part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    console(stderr=False).print(f"{folder}: {', '.join(files)} (configuration {config.name}, "
                                f"digest {config.digest[:8]})", soft_wrap=True)
