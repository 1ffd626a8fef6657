import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from headrace.cli import parser
from headrace.studies import document, plot
from headrace.studies.document import (
    FAMILIES,
    area_block,
    compare_block,
    figure,
    fmax_block,
    ratio_block,
    rewrite,
)
from headrace.studies.plot import Panel, Series, svg
from headrace.studies.tiles import FORMATS, ROUTED, TILES, WAYS, Point
from host.errors import UserError


DOCS = Path(__file__).parents[3] / "docs"
MARKS = {"compare", "area", "ratio", "fmax"}


def points(lut=lambda way, macs: 10 * macs):
    for beat_bits, ways in TILES.items():
        for way, formats in ways.items():
            for fmt in formats:
                for family in FAMILIES:
                    routed = family == "ecp5" and fmt in ROUTED.get(beat_bits, {}).get(way, ())
                    yield Point(
                        family=family,
                        beat_bits=beat_bits,
                        format=fmt,
                        way=way,
                        macs=64,
                        lut=lut(way, 64),
                        ff=5,
                        dsp=64 if way == "blocks" else 0,
                        fmax=123.4 if routed else None,
                    )


def test_page_has_all_marks():
    text = (DOCS / "cores.md").read_text()
    assert rewrite(text, {name: ["new"] for name in MARKS}).count("\nnew\n") == len(MARKS)
    assert set(re.findall(r"<!-- begin (\w+) -->", text)) == MARKS


def test_page_is_filled():
    text = (DOCS / "cores.md").read_text()
    for name in MARKS:
        body = text.partition(f"<!-- begin {name} -->")[2].partition(f"<!-- end {name} -->")[0]
        assert re.search(r"^\|--", body, re.M), name


@pytest.mark.parametrize("family", FAMILIES)
def test_figures_are_there(family):
    root = ElementTree.parse(DOCS / f"cores-area-{family}.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert f"cores-area-{family}.svg" in (DOCS / "cores.md").read_text()


@pytest.mark.parametrize("command", document.COMMANDS, ids=" ".join)
def test_commands(command):
    args = parser().parse_args([*command, "--json"])
    assert args.run.__module__ == "headrace.commands.compare_cores"
    assert f"headrace {' '.join(command)}\n" in (DOCS / "cores.md").read_text()


def test_rewrite():
    text = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    assert rewrite(text, {"x": [r"\1 new"]}) == "a\n<!-- begin x -->\n\\1 new\n<!-- end x -->\nb\n"
    with pytest.raises(
        UserError, match="^docs/cores.md must have one <!-- begin y --> and one <!-- end y -->$"
    ):
        rewrite(text, {"y": []})


def widths(lines):
    """Columns of each table line."""
    return {line.count("|") for line in lines if line.startswith("|")}


def test_area_block():
    lines = list(area_block(list(points())))
    assert sum(line.endswith("bits):") for line in lines) == len(TILES) * len(FAMILIES)
    assert any("10.0 + 1 DSP" in line for line in lines)
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert [row for row in rows if row in FORMATS][: len(FORMATS)] == list(FORMATS)


def test_ratio_block():
    lines = list(ratio_block(list(points(lambda way, macs: 50 if way == "table2" else 100))))
    cells = [cell.strip() for line in lines[2:] for cell in line.split("|")[4:-1]]
    assert len(widths(lines)) == 1 and "0.50" in cells and set(cells) <= {"0.50", ""}


def test_fmax_block():
    lines = list(fmax_block(list(points())))
    assert len(widths(lines)) == 1
    assert sum(line.count("123") for line in lines) == sum(len(f) for f in ROUTED[128].values())


def test_compare_block():
    part = {"lut": 1234, "ff": 5, "dsp": 6, "bram": 7}
    unrouted = {
        "core": "lut",
        "cycles_per_token": 10,
        "utilization": 0.5,
        "peak_macs": 1,
        "core_ecp5": part,
        "core_xcup": part,
        "pipeline_ecp5": part,
    }
    rows = [
        {
            "core": "lut",
            "cycles_per_token": 1e6,
            "utilization": 0.9,
            "peak_macs": 32,
            "core_ecp5": part | {"fmax": 99.6},
            "core_xcup": part,
            "pipeline_ecp5": part | {"fmax": None},
        },
        {"core": "systolic", "lacks": ["U1"]},
        unrouted,
    ]
    lines = list(compare_block({"model": "m", "config": "c", "formats": ["U1"], "rows": rows}))
    assert len(widths(lines)) == 1
    assert (
        "| lut | core | 1,000,000 | 90.0 % | 32 | 1,234 | 5 | 6 | 7 | 100 | 1,234 | 5 | 6 |"
        in lines
    )
    assert "| lut | core | 10 | 50.0 % | 1 | 1,234 | 5 | 6 | 7 |  | 1,234 | 5 | 6 |" in lines
    assert any("too large" in line for line in lines) and any(
        "does not take U1" in line for line in lines
    )


def test_plot_marks_enclose_the_values():
    assert plot.scale([11, 180]) == [10, 20, 50, 100, 200]
    assert plot.scale([10, 10]) == [10, 20]
    assert plot.scale([0.7, 3]) == [0.5, 1, 2, 5]


def test_plot():
    panels = [
        Panel("left & right", [Series("a", {"x": 10, "y": 100}), Series("b", {"y": 20})]),
        Panel("other", [Series("b", {"x": 50})]),
    ]
    root = ElementTree.fromstring(svg("t", "unit", panels, ["x", "y"]))
    circles = root.findall("{*}circle")
    assert len(circles) == 4 and len(root.findall("{*}polyline")) == 3
    heights = [float(circle.get("cy")) for circle in circles]
    # Logarithmic: 20 lies on the mark of its own, between 10 below and 100 above.
    assert heights[0] == plot.TOP + plot.HEIGHT and heights[1] == plot.TOP
    assert heights[2] == pytest.approx(plot.TOP + plot.HEIGHT * (1 - 0.30103), abs=0.1)
    assert circles[2].get("fill") == circles[3].get("fill") != circles[0].get("fill")


def test_figure():
    ElementTree.fromstring(figure(list(points()), "ecp5"))
    assert {way.name for way in WAYS.values()} <= set(
        re.findall(r">([^<]+)</text>", figure(list(points()), "ecp5"))
    )
