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
    from amaranth.back import verilog
    from rtl import csr, isa
    from rtl.top import Top
    config, folder = configs.get(args.config), Path(args.output)
    with console().status("generating Verilog"):
        text = verilog.convert(Top(config), name="headrace", strip_internal_attrs=True)
    files = {"headrace.v": text, "registers.md": "\n".join(csr.markdown()) + "\n",
             "isa.md": "\n".join(isa.markdown()) + "\n"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            part = folder / f".{name}.part"
            part.write_text(content)
            part.replace(folder / name)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    console(stderr=False).print(f"{folder}: {', '.join(files)} (configuration {config.name}, "
                                f"digest {config.digest[:8]})", soft_wrap=True)
