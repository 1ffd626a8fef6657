"""What each type of model file costs here: ``python -m headrace.studies.file_types TEXT``.

SmolLM2 is written in each type as `headrace quantize` does it, and compiled for a configuration
that has all formats. Measured are the bytes that a token takes from DRAM beside those of the file's
tensors, and the perplexity on a text beside that of float32 with the same file's weights; then
SmolLM2 as it comes, its head rounded to each format. The tables go into docs/files.md. Perplexities
stay in `build/file_types`, and are not measured again: remove it to do so.
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
from rtl.spec.config import get
from sim.tools import ROOT
from sw_ref.evaluation import EVALUATION, windows

from ..library.evaluation import perplexities
from ..library.models import load as open_model
from ..library.quantizing import quantize
from ..library.runner import Runner
from .document import rewrite, table


__all__ = ["CONFIG", "HEADS", "TYPES", "heads_block", "traffic", "types_block"]


MODEL = "smollm2"
TYPES = (
    *("Q4_0", "Q4_1", "Q4_K", "Q5_0", "Q5_K", "Q6_K", "Q8_0"),
    *("IQ4_NL", "MXFP4", "NVFP4", "mixed"),
)
HEADS = ("S8", "S6", "U5", "U4", "IQ4")  # the first is the file's
FORMATS = ("U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4")
CONFIG = replace(get("small"), formats=FORMATS)
WINDOW = 512  # tokens that perplexity is measured in
PAGE = ROOT / "docs" / "files.md"
BUILD = ROOT / "build" / "file_types"


def traffic(path):
    """What a token takes from DRAM of a model file, beside what the file has for it.

    Returns
    -------
    :class:`dict`
        ``types``, tensors by type; ``formats``, weights' bytes by format; ``file_bytes`` and
        ``stream_bytes`` of the matrices that a token needs; ``most``, the largest ratio of the two
        of a tensor; ``scale_error``, the largest error that integer scales make; ``rounded``, how
        many tensors were rounded again.
    """
    report = open_model(path).compile(CONFIG, context=WINDOW).report
    tensors, formats = report["tensors"], Counter()
    for its in tensors:
        formats[its["format"]] += its["dram_bytes"]
    return {
        "types": dict(Counter(its["type"] for its in tensors).most_common()),
        "formats": dict(formats.most_common()),
        "file_bytes": report["file_bytes"],
        "stream_bytes": report["bytes_per_token"],
        "most": max(its["dram_bytes"] / its["file_bytes"] for its in tensors),
        "scale_error": max(its["max"] for its in report["scale_error"].values()),
        "rounded": sum("rounding" in its for its in tensors),
    }


def perplexity(path, text, tokens, head=None):
    """Perplexity on a text, and that of float32 with the file's weights."""
    machine = replace(EVALUATION, formats=FORMATS)  # the numbers of `CONFIG`, sooner
    model = open_model(path, head=head)
    with Runner(model.compile(machine, context=WINDOW), machine, "model") as runner:
        ids = runner.tokenizer.encode(text)[:tokens]
        return perplexities(model.source, runner.device, windows(ids, WINDOW))


def kept(name, function):
    """What a function measures, unless it is in `BUILD` already."""
    path = BUILD / f"{name}.json"
    if not path.exists():
        found = function()
        with replacing(path) as part:
            part.write_text(json.dumps(found))
    return json.loads(path.read_text())


def measure(kind, text, tokens):
    """The figures of SmolLM2 in a type."""
    path = BUILD / f"{kind}.gguf"
    path.unlink(missing_ok=True)
    quantize(MODEL, path, kind)
    found = kept(f"{kind}-{tokens}", lambda: perplexity(path, text, tokens))
    found |= {"type": kind, **traffic(path)}
    path.unlink()
    return found


def measure_head(head, text, tokens):
    """The figures of SmolLM2 as it comes, with its head in a format."""
    model = open_model(MODEL, head=head)
    report = model.compile(CONFIG, context=WINDOW).report
    found = kept(f"head-{head}-{tokens}", lambda: perplexity(MODEL, text, tokens, head))
    return found | {"weight_bytes": report["bytes_per_token"], **report["head"]}


def counted(counts):
    """Names, the most frequent first."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def change(its):
    """Cells of a perplexity beside float32."""
    ours, reference = its["perplexity"], its["reference_perplexity"]
    return f"{ours:.2f}", f"{reference:.2f}", f"{100 * (ours / reference - 1):+.2f} %"


def types_block(results):
    """Yield the lines on types."""
    head = [
        *("`--type`", "Tensors in the file", "Formats here", "Rounded again"),
        *("MB in the file", "MB per token", "Ratio", "Largest", "Scales"),
        *("Perplexity", "float32", "Change"),
    ]
    rows = [
        [
            its["type"],
            counted(its["types"]),
            ", ".join(its["formats"]),
            its["rounded"] or "none",
            f"{its['file_bytes'] / 1e6:.1f}",
            f"{its['stream_bytes'] / 1e6:.1f}",
            f"{its['stream_bytes'] / its['file_bytes']:.3f}",
            f"{its['most']:.3f}",
            f"{100 * its['scale_error']:.2f} %",
            *change(its),
        ]
        for its in results
    ]
    yield from table(head, rows, left=4)


def heads_block(results):
    """Yield the lines on heads."""
    head = [
        *("`--head`", "Error of weights", "MB of the head", "MB per token"),
        *("Perplexity", "float32", "Change"),
    ]
    rows = [
        [
            its["format"],
            f"{100 * its['error']:.2f} %" if its["error"] else "as in the file",
            f"{its['bytes'] / 1e6:.1f}",
            f"{its['weight_bytes'] / 1e6:.1f}",
            *change(its),
        ]
        for its in results
    ]
    yield from table(head, rows)


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.file_types", description=__doc__
    )
    parser.add_argument("text", metavar="TEXT", help="UTF-8 text to measure perplexity on")
    parser.add_argument(
        "--tokens", type=int, default=8192, metavar="N", help="tokens of it (default: 8192)"
    )
    args = parser.parse_args(argv)
    if args.tokens < 2:
        raise UserError(f"--tokens must be at least 2, not {args.tokens}")
    text, types, heads = read_text(args.text), [], []
    BUILD.mkdir(parents=True, exist_ok=True)
    with steps("measuring") as step:
        for kind in TYPES:
            step(kind)
            types.append(measure(kind, text, args.tokens))
        for name in HEADS:
            step(f"head in {name}")
            heads.append(measure_head(name, text, args.tokens))
    blocks = {"types": types_block(types), "heads": heads_block(heads)}
    page = rewrite(PAGE.read_text(), blocks, "docs/files.md")
    with replacing(PAGE) as part:
        part.write_text(page)
    print(f"wrote {PAGE.relative_to(ROOT)}")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("file_types", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
