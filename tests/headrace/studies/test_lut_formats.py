"""`python -m headrace.studies.lut_formats`: the designs that it has synthesized, and its table."""

from collections import Counter

import pytest

from boards.synthesis import Area
from headrace.studies import lut_formats as study
from host.errors import UserError, run_command
from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore
from rtl.linear.activations import ActivationBuffer


pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


def test_designs():
    """If not, a row of the table in docs/rfcs/0003 is of another design than it says, or of none
    that can be made any more.
    """
    found = [(name, inputs, design) for name, inputs, design in study.designs()]
    assert max(Counter((name, inputs) for name, inputs, _ in found).values()) == 1
    assert [type(design) for _, _, design in found] == [
        *[LutCore] * len(study.CORES),
        *[TabledCore] * 2,
        *[ActivationBuffer] * 3,
    ]
    for name, inputs, design in found[: len(study.CORES)]:
        formats = study.ALL if name == "all" else name.split(", ")
        assert {fmt.name for fmt in design.native} == {*formats} and design.inputs == inputs
    for name, inputs, design in found:
        if name == "U4, built anew":
            assert {fmt.name for fmt in design.native} == {"U4"}
            assert design.inputs == 1  # it is fed activations, no tables


def test_table(monkeypatch, capsys):
    """The designs are elaborated, and each cell is in its column: LUT4 are no LUT sites."""
    texts = []

    def synthesize(text, family):
        texts.append(text)
        cells = {"LUT4": 10 * len(texts)} | ({"CCU2C": 7} if len(texts) > 1 else {})
        return Area(family=family, lut=444, ff=555, dsp=0, bram=666, cells=cells, seconds=0.0)

    monkeypatch.setattr(study, "CORES", [(("S8", "TERNARY"), 2)])
    monkeypatch.setattr(study, "synthesize", synthesize)
    some = [d for d in study.designs() if d[1] <= 2]
    monkeypatch.setattr(study, "designs", lambda: iter(some))
    study.main()
    head, *rows = capsys.readouterr().out.splitlines()
    assert len({*texts}) == 4 and all("module \\top" in text for text in texts)
    ends = [
        head.index(n) + len(n) for n in ("tables of", "LUT4", "CCU2C", "FF", "LUT sites", "BRAM")
    ]
    said = [[row[:18].strip(), *(row[end - 10 : end].strip() for end in ends)] for row in rows]
    same = ["555", "444", "666"]
    assert said == [
        ["S8, TERNARY", "2", "10", "0", *same],
        ["U4, built anew", "2", "20", "7", *same],
        ["activation buffer", "1", "30", "7", *same],
        ["activation buffer", "2", "40", "7", *same],
    ]


def test_tool_that_is_missing(monkeypatch, capsys):
    """It ends in one line."""

    def synthesize(*_):
        raise UserError("yosys must be there")

    monkeypatch.setattr(study, "CORES", [(("U1",), 2)])
    monkeypatch.setattr(study, "synthesize", synthesize)
    assert run_command("lut_formats", study.main) == 2
    assert capsys.readouterr().err == "lut_formats: yosys must be there\n"
