"""Measure the linear cores, and write the figures into docs/cores.md: `make cores`.

Takes an hour on two CPU cores; what is in `build/synthesis` already is not measured again.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from host.errors import UserError, run_command
from host.files import replacing
from host.progress import steps

from .plot import Panel, Series, svg
from .tiles import FORMATS, TILES, WAYS, study


__all__ = [
    "COMMANDS",
    "rewrite",
    "table",
    "compare_block",
    "area_block",
    "ratio_block",
    "fmax_block",
    "figure",
]


ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cores.md"
COMMANDS = [
    ["compare-cores", "--model", "smollm2", "--config", "small"],
    ["compare-cores", "--model", "tiny", "--config", "small", "--no-route"],
]
FAMILIES = {"ecp5": "Lattice ECP5, LUT4", "xcup": "Xilinx UltraScale+, LUT6"}


def rewrite(text, blocks, page="docs/cores.md"):
    """Replace what lies between the marks of each block of the text of a page."""
    for name, lines in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise UserError(f"{page} must have one {begin} and one {end}")
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
        text = pattern.sub(lambda _: "\n".join([begin, *lines, end]), text)
    return text


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def table(head, rows, left=1):
    """Yield the lines of a table, its first columns aligned to the left."""
    yield row(*head)
    yield "|" + "--|" * left + "--:|" * (len(head) - left)
    yield from (row(*cells) for cells in rows)


def compare_block(result):
    """Yield the lines on the cores side by side."""
    head = [
        "Core",
        "",
        "Cycles/token",
        "Utilization",
        "MACs/cycle",
        "LUT4",
        "FF",
        "DSP",
        "BRAM",
        "MHz",
        "xcup LUT",
        "FF",
        "DSP",
    ]
    rows = []
    for of in result["rows"]:
        if "lacks" in of:
            rows.append(
                [of["core"], f"does not take {', '.join(of['lacks'])}", *[""] * (len(head) - 2)]
            )
            continue
        for part in "core", "pipeline":
            ecp5, xcup = of[f"{part}_ecp5"], of.get(f"{part}_xcup", {})
            first = (
                [
                    of["core"],
                    part,
                    f"{of['cycles_per_token']:,.0f}",
                    f"{100 * of['utilization']:.1f} %",
                    of["peak_macs"],
                ]
                if part == "core"
                else ["", part, "", "", ""]
            )
            rows.append(
                [
                    *first,
                    *(f"{ecp5[name]:,}" for name in ("lut", "ff", "dsp", "bram")),
                    clock(ecp5),
                    *(f"{xcup[name]:,}" if xcup else "" for name in ("lut", "ff", "dsp")),
                ]
            )
    yield f"{result['model']}, hardware for {', '.join(result['formats'])}:"
    yield ""
    yield from table(head, rows, left=2)
    yield ""


def clock(figures):
    """MHz, if it was routed."""
    if "fmax" not in figures:
        return ""
    return "too large" if figures["fmax"] is None else f"{figures['fmax']:.0f}"


def at(points, family, beat_bits, way):
    """The points of a line, by format."""
    return {
        p.format: p for p in points if (p.family, p.beat_bits, p.way) == (family, beat_bits, way)
    }


def area_block(points):
    """Yield the lines on LUTs per multiplication, for every family and tile."""
    for beat_bits, ways in TILES.items():
        for family, title in FAMILIES.items():
            yield f"{title}, {4 * beat_bits // 128} rows of planes ({beat_bits} bits):"
            yield ""
            lines = {name: at(points, family, beat_bits, name) for name in ways}
            rows = []
            for fmt in FORMATS:
                found = {name: of[fmt] for name, of in lines.items() if fmt in of}
                if found:
                    rows.append(
                        [
                            fmt,
                            next(iter(found.values())).macs,
                            *(cell(found.get(name)) for name in ways),
                        ]
                    )
            yield from table(["Format", "MACs/cycle", *(WAYS[name].name for name in ways)], rows)
            yield ""


def cell(point):
    if point is None:
        return ""
    dsp = f" + {point.dsp / point.macs:.3g} DSP" if point.dsp else ""
    return f"{point.luts_per_mac:.1f}{dsp}"


def ratio_block(points):
    """Yield the lines on how large tables are beside what does without."""
    rows = []
    for family, title in FAMILIES.items():
        for beat_bits, ways in TILES.items():
            for other in ("planes", "multipliers"):
                if other in ways:
                    tables, dense = (
                        at(points, family, beat_bits, name) for name in ("table2", other)
                    )
                    rows.append(
                        [
                            title.partition(",")[0],
                            4 * beat_bits // 128,
                            WAYS[other].name,
                            *(
                                f"{tables[fmt].lut / dense[fmt].lut:.2f}"
                                if fmt in tables and fmt in dense
                                else ""
                                for fmt in FORMATS
                            ),
                        ]
                    )
    yield from table(["LUTs of tables of 2, as a share of", "Rows", "of", *FORMATS], rows)


def fmax_block(points):
    """Yield the lines on clocks."""
    routed = [p for p in points if p.fmax is not None]
    ways = [name for name in WAYS if any(p.way == name for p in routed)]
    rows = []
    for fmt in FORMATS:
        found = {p.way: p for p in routed if p.format == fmt}
        if found:
            rows.append([fmt, *(f"{found[way].fmax:.0f}" if way in found else "" for way in ways)])
    yield from table(["MHz on ECP5, 128 bits", *(WAYS[way].name for way in ways)], rows)


def figure(points, family):
    """The plot of a family."""
    panels = []
    for beat_bits, ways in TILES.items():
        series = []
        for name in ways:
            line = at(points, family, beat_bits, name)
            series.append(
                Series(WAYS[name].name, {fmt: point.luts_per_mac for fmt, point in line.items()})
            )
        panels.append(Panel(f"{4 * beat_bits // 128} rows of planes", series))
    return svg(
        f"Area of multiplying, {FAMILIES[family].partition(',')[0]}",
        "LUTs per multiplication and cycle",
        panels,
        list(FORMATS),
    )


def compared(command):
    """What a command says in JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", *command, "--json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise UserError(f"headrace compare-cores failed with exit code {done.returncode}")
    return json.loads(done.stdout)


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.document", description=__doc__
    )
    parser.parse_args(argv)
    compare = [line for words in COMMANDS for line in compare_block(compared(words))]
    with steps("measuring") as step:
        points = list(study(step=step))
    blocks = {
        "compare": compare,
        "area": area_block(points),
        "ratio": ratio_block(points),
        "fmax": fmax_block(points),
    }
    files = {
        PAGE: rewrite(PAGE.read_text(), blocks),
        **{
            PAGE.with_name(f"cores-area-{family}.svg"): figure(points, family)
            for family in FAMILIES
        },
    }
    for path, text in files.items():
        with replacing(path) as part:
            part.write_text(text)
        print(f"wrote {path.relative_to(ROOT)}")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("cores", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
