"""`headrace compile`: model file to program image, with a report."""

import json
from collections import Counter

from rich.table import Table

from host.errors import UserError
from host.files import check_target
from host.progress import console, progress
from . import images


# What --dump takes, :data:`mapper.dump.STEPS`, which is not imported before it is needed.
STEPS = ("graph", "rewrites", "quantize", "place", "schedule")


def register(commands):
    parser = commands.add_parser("compile", help="compile a model to a program image",
                                 description="Compile a model to a program image, and report sizes, "
                                 "bits per weight as they lie in memory, estimated cycles, and the "
                                 "error that the machine's scales add.")
    images.add_arguments(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", metavar="FILE", help="program image to write: *.safetensors")
    what.add_argument("--dump", metavar="STEP",
                      help=f"print what the model is after a step, and end: {', '.join(STEPS)}")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(args):
    if args.dump is not None:
        return dump_step(args)
    if not images.is_image(args.output):
        raise UserError(f"{args.output}: an image's name must end in .safetensors")
    check_model(args)
    check_target(args.output)
    model, image = images.compile_image(args)
    images.save(image, args.output)
    if args.json:
        print(json.dumps(image.report))
    else:
        show(model, image, args.output)


def check_model(args):
    if images.is_image(args.model):
        raise UserError(f"{args.model}: --model must be a model, this is an image already")


def dump_step(args):
    """Print what the model is after a step."""
    if args.dump not in STEPS:
        raise UserError(f"--dump must be one of {', '.join(STEPS)}, not {args.dump!r}")
    if args.json:
        raise UserError("--dump prints text, --json must be left out")
    check_model(args)
    from mapper.compile import Compilation
    from mapper.dump import dump
    config, model, context = images.wanted(args)
    with progress("compiling") as report:
        text = dump(Compilation(model, config, context,
                                lambda what, done, total: report(done, total, what)), args.dump)
    print(text)


def size(count):
    """Bytes, readable."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            break
        count /= 1024
    else:
        unit = "GiB"
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def show(model, image, path):
    """Print the report for people."""
    out, report = console(stderr=False), image.report
    config = images.config_of(path, image)
    out.print(f"{model.name}, for configuration {image.config}: {path}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("operation", "format"):
        table.add_column(name)
    for name in ("rows", "depth", "times", "size", "bits", "nonzero", "cycles", "error"):
        table.add_column(name, justify="right")
    errors = report["scale_error"]
    for op in report["operations"]:
        error = errors.get(op["operation"])
        table.add_row(op["operation"], op["format"], str(op["rows"]), str(op["depth"]),
                      str(op["times"]), size(op["bytes"]), f"{op['bits_per_weight']:.2f}",
                      f"{100 * op['density']:.1f} %" if "density" in op else "", f"{op['cycles']:,}",
                      f"{100 * error['mean']:.2f} %" if error else "")
    out.print(table)
    blocks = Counter()
    for op in report["operations"]:
        blocks.update(op.get("blocks", {}))
    if blocks:
        shares = (f"{100 * count / blocks.total():.1f} % {name}" for name, count in blocks.items() if count)
        out.print(f"blocks of sparse weights: {', '.join(shares)}", soft_wrap=True)
    cycles = report["estimated_cycles_per_token"]
    out.print(f"program {report['program_instructions']} instructions, weights "
              f"{size(report['weight_bytes'])} ({report['layers_bits_per_weight']:.2f} bits per weight in the "
              f"layers), KV cache {size(report['kv_cache_bytes'])} for "
              f"{image.context} positions, DRAM {size(report['memory_bytes'])}, vector memory "
              f"{report['vector_words']} of {config.vector_words} words", soft_wrap=True)
    out.print(f"at least {cycles:,} cycles per token: at most {config.clock_mhz * 1e6 / cycles:.2f} "
              f"tokens/s at {config.clock_mhz:g} MHz", soft_wrap=True)
