"""`headrace compile`: model file to program image, with a report."""

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass

from rich.table import Table

from host.configurations import to_toml
from host.errors import UserError
from host.files import check_target
from host.progress import console

from ..library import images
from ..library.machines import names
from ..library.models import STEPS
from ..options import ModelOptions, add_model, read


PLACE = 30  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace compile` is told."""

    model: ModelOptions
    output: str | None
    dump: str | None
    position: int
    json: bool


def register(commands):
    parser = commands.add_parser(
        "compile",
        help="compile a model to a program image",
        description="Compile a model to a program image, and report sizes, "
        "bits per weight as they lie in memory, estimated cycles, and the "
        "error that the machine's scales add.",
    )
    add_model(parser)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "-o", "--output", metavar="FILE", help="program image to write: *.safetensors"
    )
    what.add_argument(
        "--dump",
        metavar="STEP",
        help=f"print what the model is after a step, and end: {', '.join(STEPS)}",
    )
    parser.add_argument(
        "--position",
        type=int,
        default=0,
        metavar="N",
        help="estimate the cycles of a token with N before it (0 if not given)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(args):
    from mapper.estimate import estimate

    options = read(Options, args)
    if options.dump is not None:
        return dump(options)
    if options.output is None or not images.is_image(options.output):
        raise UserError(f"{options.output}: an image's name must end in .safetensors")
    check_model(options.model)
    check_position(options)
    check_target(options.output)
    model, machine = options.model.load()
    image = model.compile(machine, context=options.model.context)
    if options.position >= image.context:
        raise UserError(
            f"--position must be below {image.context}, the image's context, not {options.position}"
        )
    images.save(image, options.output)
    found = estimate(image, machine, position=options.position)
    if options.json:
        report = image.report | {"config": image.accelerator, "estimate": asdict(found)}
        print(json.dumps(report))
        return
    show(model.name, machine, image, options.output)
    show_estimate(machine, found, options.position)
    if derived(options.model.machine, model, machine):
        print(f"\n# The configuration, for --config FILE:\n{to_toml(machine)}", end="")


def check_position(options):
    """Refuse a position that no image has, before it is compiled."""
    if options.position < 0:
        raise UserError(f"--position must be 0 or more, not {options.position}")


def show_estimate(config, found, position):
    """Print the cycles of a token, and what units are at."""
    out = console(stderr=False)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("node", "unit"):
        table.add_column(name)
    table.add_column("cycles", justify="right")
    for its in found.nodes:
        table.add_row(its.node, its.unit, f"{its.cycles:,}")
    out.print(table)
    speed = config.clock_mhz * 1e6 / found.cycles
    out.print(
        f"estimated {found.cycles:,} cycles for a token at position {position}: {speed:.2f} "
        f"tokens/s at {config.clock_mhz:g} MHz",
        soft_wrap=True,
    )


def derived(asked, model, machine):
    """Whether nobody named the machine, and it is none that one could name."""
    known = asked.config is not None or machine.name in names()
    return not known and machine != model.suited(asked.machine())


def check_model(model):
    if images.is_image(model.model):
        raise UserError(f"{model.model}: --model must be a model, this is an image already")


def dump(options):
    """Print what the model is after a step."""
    if options.dump not in STEPS:
        raise UserError(f"--dump must be one of {', '.join(STEPS)}, not {options.dump!r}")
    if options.json:
        raise UserError("--dump prints text, --json must be left out")
    check_model(options.model)
    model, machine = options.model.load()
    print(model.dump(options.dump, machine, context=options.model.context))


def size(count):
    """Bytes, readable."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            break
        count /= 1024
    else:
        unit = "GiB"
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def by_type(tensors):
    """A table: how many tensors of which type are in which format, and what that costs."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("type", "format"):
        table.add_column(name)
    for name in ("tensors", "in the file", "in DRAM", "error at most"):
        table.add_column(name, justify="right")
    found = defaultdict(list)
    for its in tensors:
        found[its["type"], its["format"]].append(its)
    for (source, format), its in sorted(found.items()):
        file_bytes, dram_bytes = (sum(t[x] for t in its) for x in ("file_bytes", "dram_bytes"))
        error = 100 * max(t["error"] for t in its)
        table.add_row(
            source, format, str(len(its)), size(file_bytes), size(dram_bytes), f"{error:.2f} %"
        )
    return table


def rounded(tensors):
    """Lines that say why tensors were rounded, and how far at most."""
    found = defaultdict(list)
    for its in tensors:
        if "rounding" in its:
            found[its["type"], its["format"], its["reason"]].append(its["rounding"])
    for (source, format, reason), errors in sorted(found.items()):
        count = "1 tensor" if len(errors) == 1 else f"{len(errors)} tensors"
        yield (
            f"{count} of {source} rounded to {format}, by at most {100 * max(errors):.2f} %: "
            f"{reason}"
        )


def head_line(its):
    """What rounding the head costs, and what it saves."""
    saved = its["bytes_before"] - its["bytes"]
    return (
        f"head: {size(its['bytes'])} in {its['format']} instead of {size(its['bytes_before'])} in "
        f"{its['instead_of']}: {size(abs(saved))} {'less' if saved >= 0 else 'more'} per token, "
        f"error {100 * its['error']:.2f} %"
    )


def show(name, config, image, path):
    """Print the report for people."""
    out, report = console(stderr=False), image.report
    out.print(f"{name}, for configuration {image.config}: {path}", soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("operation", "format"):
        table.add_column(name)
    for name in ("rows", "depth", "times", "size", "bits", "nonzero", "cycles", "error"):
        table.add_column(name, justify="right")
    errors = report["scale_error"]
    for op in report["operations"]:
        error = errors.get(op["operation"])
        table.add_row(
            op["operation"],
            op["format"],
            str(op["rows"]),
            str(op["depth"]),
            str(op["times"]),
            size(op["bytes"]),
            f"{op['bits_per_weight']:.2f}",
            f"{100 * op['density']:.1f} %" if "density" in op else "",
            f"{op['cycles']:,}",
            f"{100 * error['mean']:.2f} %" if error else "",
        )
    out.print(table)
    blocks = Counter()
    for op in report["operations"]:
        blocks.update(op.get("blocks", {}))
    if blocks:
        shares = (
            f"{100 * count / blocks.total():.1f} % {name}"
            for name, count in blocks.items()
            if count
        )
        out.print(f"blocks of sparse weights: {', '.join(shares)}", soft_wrap=True)
    out.print(by_type(report["tensors"]))
    for line in rounded(report["tensors"]):
        out.print(line, soft_wrap=True)
    if "head" in report:
        out.print(head_line(report["head"]), soft_wrap=True)
    out.print(
        f"program {report['program_instructions']} instructions, weights "
        f"{size(report['weight_bytes'])} ({report['layers_bits_per_weight']:.2f} bits per weight "
        "in the "
        f"layers), KV cache {size(report['kv_cache_bytes'])} for "
        f"{image.context} positions, DRAM {size(report['memory_bytes'])}, vector memory "
        f"{report['vector_words']} of {config.vector_words} words",
        soft_wrap=True,
    )
