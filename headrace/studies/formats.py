"""What each format of 4 bits and more costs, and what it saves, into docs/formats.md: ``python -m
headrace.studies.formats``.

Synthesizes the linear pipeline, from the memory's beats to sums of rows, with each core at 128 bits
and one column, for S8 and one format more; places and routes that of the systolic core. Takes an
hour on two CPU cores; what is in `build/synthesis` already is not measured again.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boards.synthesis import place_and_route, synthesize, text_of
from host.errors import run_command
from host.files import replacing
from host.progress import steps
from rtl.linear.pipeline import LinearPipeline
from rtl.spec.config import CORES, Config, get
from rtl.spec.formats import FORMATS, WeightFormat

from .cores import with_core
from .document import table


__all__ = ["CHOICES", "ROUTED", "Point", "configuration", "page", "study"]


PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
# Formats of a configuration beside S8, by their row's name.
FILES = ("U4", "U5", "S6", "FP4", "FP4_16", "IQ4")
CHOICES = {"S8 alone": (), **{name: (name,) for name in FILES}, "all of them": FILES}
ROUTED = "systolic"
FAMILIES = ("ecp5", "xcup")
# Tensor types of GGUF whose codes each has.
TYPES = {
    "U4": "Q4_0, Q4_1, Q4_K",
    "U5": "Q5_0, Q5_1, Q5_K",
    "S6": "Q6_K",
    "FP4": "MXFP4",
    "FP4_16": "NVFP4",
    "IQ4": "IQ4_NL, IQ4_XS",
    "S8": "Q8_0",
}
GROUPS = 64  # K = 2048
TEXT = """\
<!-- Written by `{command}`. Do not edit. -->

# Formats of files

What a format of 4 bits and more takes of DRAM, and of an FPGA. `{command}` measures what
`build/synthesis` does not have yet, and writes this page.

## Of DRAM

*Bits* of a weight, scales included, where rows have {depth:,} weights. *Beats* are those of a step
of N rows times a group of 32, or half of one in S8; *cycles* those that a core takes for such a
group of 32. A beat of IQ4 becomes two steps of S8.

{streams}

## Of an FPGA

The linear pipeline, all from the memory's beats to sums of rows, at 128 bits and one column, for S8
and the format that a row names. LUT4, DSP and MHz (placed and routed alone, one seed) are those of
an ECP5, *xcup* those of UltraScale+, by yosys. What is added to S8 alone is in brackets.

{areas}
"""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A configuration, measured.

    Parameters
    ----------
    choice : :class:`str`
        One of :data:`CHOICES`.
    core : :class:`str`
        Its linear core.
    lut, dsp : :class:`dict`
        By family, see :class:`~boards.synthesis.Area`.
    fmax : :class:`float` or None
        MHz on an ECP5, None where it was not routed.
    """

    choice: str
    core: str
    lut: dict[str, int]
    dsp: dict[str, int]
    fmax: float | None = None


def configuration(choice: str, core: str) -> Config:
    """The configuration of a row."""
    config = with_core(get("small"), core, CHOICES[choice])
    assert config is not None  # every core takes them
    return config


def study(step: Callable[[str], object] = lambda text: None) -> Iterator[Point]:
    """Yield a :class:`Point` for every choice of formats and core."""
    for core in CORES:
        for choice in CHOICES:
            config = configuration(choice, core)
            text, areas = text_of(LinearPipeline(config)), {}
            for family in FAMILIES:
                step(f"{config.name}: {family}")
                areas[family] = synthesize(text, family)
            fmax = None
            if core == ROUTED:
                step(f"{config.name}: routing")
                fmax = place_and_route(text).fmax
            yield Point(
                choice=choice,
                core=core,
                lut={family: area.lut for family, area in areas.items()},
                dsp={family: area.dsp for family, area in areas.items()},
                fmax=fmax,
            )


def streams() -> Iterator[list]:
    """Yield the rows of the table on DRAM, which follow from the formats."""
    word_bytes = get("small").word_bytes
    for name in (*FILES, "S8"):
        its = FORMATS[WeightFormat[name]]
        count = its.tiles * GROUPS * its.steps_per_group  # steps of a block
        beats = its.block_beats(GROUPS, word_bytes)
        bits = 8 * word_bytes * beats / (count * its.elements * its.step_rows)
        cycles = 32 // FORMATS[its.step_format].elements
        yield [name, TYPES[name], its.group, f"{bits:.2f}", f"{beats / count:.2f}", cycles]


def areas(points: Iterable[Point]) -> Iterator[list]:
    """Yield the rows of the table on FPGAs."""
    plain = {}
    for point in points:
        plain.setdefault(point.core, point)
        base = plain[point.core]

        def cell(kind, family):
            own, more = (getattr(of, kind)[family] for of in (point, base))
            return f"{own:,}" + (f" (+{own - more:,})" if point is not base else "")

        fmax = "" if point.fmax is None else f"{point.fmax:.0f}"
        yield [
            point.core if point is base else "",
            point.choice,
            cell("lut", "ecp5"),
            cell("dsp", "ecp5"),
            fmax,
            cell("lut", "xcup"),
            cell("dsp", "xcup"),
        ]


def page(points: Iterable[Point]) -> str:
    """The text of docs/formats.md."""
    head = ["Format", "GGUF", "Group", "Bits", "Beats", "Cycles"]
    columns = ["Core", "Format", "LUT4", "DSP", "MHz", "xcup LUT", "DSP"]
    return TEXT.format(
        command="python -m headrace.studies.formats",
        depth=32 * GROUPS,
        streams="\n".join(table(head, streams(), left=2)),
        areas="\n".join(table(columns, areas(points), left=2)),
    )


def command(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(prog="python -m headrace.studies.formats", description=__doc__)
    parser.parse_args(argv)
    with steps("measuring") as step:
        text = page(study(step))
    with replacing(PAGE) as part:
        part.write_text(text)
    print(f"wrote docs/{PAGE.name}")


def main(argv: list[str] | None = None) -> int:
    """Run the command, return the exit code."""
    return run_command("formats", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
