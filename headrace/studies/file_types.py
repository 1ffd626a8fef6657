"""What each type of model file costs here: ``python -m headrace.studies.file_types TEXT``.

SmolLM2 is written in each type as `headrace quantize` does it, and compiled for a configuration
that has all formats. Measured are the bytes that a token takes from DRAM beside those of the file's
tensors, and the perplexity on a text beside that of float32 with the same file's weights. The table
goes into docs/files.md; what was measured stays in `build/file_types`, and is not measured again.
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace

from host.errors import UserError, run_command
from host.files import replacing
from host.language.text import read_text
from host.progress import steps
from mapper.compile import Compilation
from mapper.families import FAMILIES
from mapper.plan import formats_of
from mapper.read.find import load
from mapper.read.gguf_container import File
from rtl.spec.config import get
from sim.tools import ROOT
from sw_ref.evaluation import EVALUATION, windows

from ..library.evaluation import perplexities
from ..library.models import load as open_model
from ..library.quantizing import quantize
from ..library.runner import Runner
from .document import rewrite, table


__all__ = ["CONFIG", "TYPES", "block", "measure", "traffic"]


MODEL = "smollm2"
TYPES = (
    *("Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_K", "Q6_K", "Q8_0"),
    *("IQ4_NL", "MXFP4", "NVFP4", "mixed"),
)
FORMATS = ("U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4")
CONFIG = replace(get("small"), formats=FORMATS)
WINDOW = 512  # tokens that perplexity is measured in
PAGE = ROOT / "docs" / "files.md"
BUILD = ROOT / "build" / "file_types"


def file_sizes(path, compilation):
    """Bytes in the file of the tensors of each matrix, over all layers that have it in a format: by
    the names of both."""
    file, model, found = File(path), compilation.model, Counter()
    names = FAMILIES[model.family].linears
    for n in range(len(model.layers)):
        formats = formats_of(model.layers, n)
        for matrix in compilation.matrices[:-1]:
            for part, start, end in matrix.parts:
                tensor = file.tensors[f"blk.{n}.{names[part].gguf}.weight"]
                size = tensor.size // tensor.shape[0] * (end - start)
                found[matrix.name, formats[part].name] += size
    head = file.tensors.get("output.weight", file.tensors["token_embd.weight"])
    found["head", compilation.head.format.name] += head.size
    return found


def traffic(path):
    """What a token takes from DRAM of a model file, beside what the file has for it.

    Returns
    -------
    :class:`dict`
        ``types``, tensors by type; ``formats``, weights' bytes by format; ``file_bytes`` and
        ``stream_bytes`` of the matrices that a token needs; ``most``, the matrix with the largest
        ratio of the two, and that ratio; ``scale_error``, the largest that integer scales make;
        ``roundings``, see :func:`mapper.report.roundings`.
    """
    compilation = Compilation(load(path), CONFIG, WINDOW)
    report = compilation.image().report
    sizes, formats, ratios = file_sizes(path, compilation), Counter(), {}
    for its in report["operations"]:
        key = its["operation"], its["format"]
        if key in sizes:  # not the embedding, of which a token needs a row
            formats[its["format"]] += its["bytes"]
            ratios[its["operation"]] = its["bytes"] / sizes[key]
    types = Counter(t.type.name for t in File(path).tensors.values() if len(t.shape) == 2)
    return {
        "types": dict(types.most_common()),
        "formats": dict(formats.most_common()),
        "file_bytes": sizes.total(),
        "stream_bytes": formats.total(),
        "most": max(ratios.items(), key=lambda its: its[1]),
        "scale_error": max(its["max"] for its in report["scale_error"].values()),
        "roundings": report.get("roundings", []),
    }


def perplexity(path, text, tokens):
    """Perplexity on a text, and that of float32 with the same weights."""
    machine = replace(EVALUATION, formats=FORMATS)  # the numbers of `CONFIG`, sooner
    model = open_model(path)
    with Runner(model.compile(machine, context=WINDOW), machine, "model") as runner:
        ids = runner.tokenizer.encode(text)[:tokens]
        return perplexities(model.source, runner.device, windows(ids, WINDOW))


def measure(kind, text, tokens, folder=BUILD):
    """The figures of SmolLM2 in a type: measured, unless they are in `folder` already."""
    folder.mkdir(parents=True, exist_ok=True)
    known, path = folder / f"{kind}-{tokens}.json", folder / f"{kind}.gguf"
    if known.exists():
        return json.loads(known.read_text())
    path.unlink(missing_ok=True)
    quantize(MODEL, path, kind)
    found = {"type": kind, **traffic(path), **perplexity(path, text, tokens)}
    with replacing(known) as part:
        part.write_text(json.dumps(found))
    path.unlink()
    return found


def counted(counts):
    """Names, the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def block(results):
    """Yield the lines of the table."""
    head = [
        *("`--type`", "Tensors in the file", "Formats here", "Rounded again"),
        *("File, MB", "Stream, MB", "Ratio", "Largest ratio", "Scales"),
        *("Perplexity", "float32", "Change"),
    ]
    rows = [
        [
            its["type"],
            counted(its["types"]),
            ", ".join(its["formats"]),
            len(its["roundings"]) or "none",
            f"{its['file_bytes'] / 1e6:.2f}",
            f"{its['stream_bytes'] / 1e6:.2f}",
            f"{its['stream_bytes'] / its['file_bytes']:.3f}",
            f"{its['most'][1]:.3f}",
            f"{100 * its['scale_error']:.2f} %",
            f"{its['perplexity']:.3f}",
            f"{its['reference_perplexity']:.3f}",
            f"{100 * (its['perplexity'] / its['reference_perplexity'] - 1):+.2f} %",
        ]
        for its in results
    ]
    yield from table(head, rows, left=4)


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.file_types", description=__doc__
    )
    parser.add_argument("text", metavar="TEXT", help="UTF-8 text to measure perplexity on")
    parser.add_argument(
        "--tokens", type=int, default=8192, metavar="N", help="tokens of it (default: 8192)"
    )
    parser.add_argument(
        "--type",
        action="append",
        choices=TYPES,
        help="a type to measure, any number of times (default: all)",
    )
    args = parser.parse_args(argv)
    if args.tokens < 2:
        raise UserError(f"--tokens must be at least 2, not {args.tokens}")
    text = read_text(args.text)
    with steps("measuring") as step:
        results = []
        for kind in args.type or TYPES:
            step(kind)
            results.append(measure(kind, text, args.tokens))
    page = rewrite(PAGE.read_text(), {"types": block(results)}, "docs/files.md")
    with replacing(PAGE) as part:
        part.write_text(page)
    print(f"wrote {PAGE.relative_to(ROOT)}")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("file_types", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
