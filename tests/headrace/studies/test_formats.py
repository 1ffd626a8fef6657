# amaranth: UnusedElaboratable=no
"""`python -m headrace.studies.formats`: what it measures, and its page."""

import re

import pytest

from boards.synthesis import Area, Routed
from headrace.studies import formats as study
from headrace.studies.formats import CHOICES, PAGE, ROUTED, Point, configuration, page
from rtl.linear.pipeline import LinearPipeline
from rtl.spec.config import CORES


# Bits of a weight in a GGUF file. Where rows are long, the stream has not 3 % more.
BITS = {
    **{"Q4_0": 4.5, "Q4_1": 5, "Q4_K": 4.5, "Q5_0": 5.5, "Q5_1": 6, "Q5_K": 5.5},
    **{"Q6_K": 6.5625, "MXFP4": 4.25, "NVFP4": 4.5, "IQ4_NL": 4.5, "IQ4_XS": 4.25, "Q8_0": 8.5},
}


def points(lut=1000):
    for n, core in enumerate(CORES):
        for k, choice in enumerate(CHOICES):
            yield Point(
                choice=choice,
                core=core,
                lut={"ecp5": lut + 100 * n + k, "xcup": lut // 2 + 100 * n + 2 * k},
                dsp={"ecp5": 32 + k, "xcup": 33},
                fmax=101.6 if core == ROUTED else None,
            )


def test_streams_are_no_larger_than_files():
    rows = {row[0]: row for row in study.streams()}
    seen = {name: float(row[3]) for row in rows.values() for name in row[1].split(", ")}
    assert seen.keys() == BITS.keys()
    assert all(bits <= 1.03 * BITS[name] for name, bits in seen.items())
    assert rows["U5"][2:] == [32, "5.52", "1.38", 1]
    assert rows["S6"][2:] == [16, "6.52", "1.63", 1]
    assert rows["IQ4"][2:] == [32, "4.27", "1.07", 2]
    assert rows["S8"][2:] == [32, "8.27", "1.03", 2]


def test_areas():
    """What is added is added to S8 alone, of the same core."""
    rows = list(study.areas(points()))
    first, second = list(CORES)[:2]
    assert rows[0] == [first, "S8 alone", "1,000", "32", "102", "500", "33"]
    assert rows[2] == ["", "U5", "1,002 (+2)", "34 (+2)", "102", "504 (+4)", "33 (+0)"]
    assert rows[len(CHOICES)] == [second, "S8 alone", "1,100", "32", "", "600", "33"]
    assert rows[-1][2:4] == ["1,207 (+7)", "39 (+7)"]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("choice", CHOICES)
def test_configurations(core, choice):
    config = configuration(choice, core)
    assert (config.core, config.beat_bits, config.columns) == (core, 128, 1)
    assert {*config.formats} == {"S8", *CHOICES[choice]}


@pytest.mark.seconds(2)
def test_study(monkeypatch):
    """Each design is that of its configuration; the systolic core's alone are routed."""
    made, asked = [], []

    def synthesize(text, family):
        asked.append((text, family))
        return Area(family=family, lut=len(asked), ff=0, dsp=7, bram=0, cells={}, seconds=0.0)

    def text_of(component):
        assert isinstance(component, LinearPipeline)
        made.append(component.config)
        return component.config.name

    def routed(text):
        asked.append((text, "route"))
        return Routed(fmax=50.0, seconds=0.0)

    monkeypatch.setattr(study, "synthesize", synthesize)
    monkeypatch.setattr(study, "text_of", text_of)
    monkeypatch.setattr(study, "place_and_route", routed)
    found = list(study.study())
    assert [(p.core, p.choice) for p in found] == [(c, f) for c in CORES for f in CHOICES]
    assert made == [configuration(p.choice, p.core) for p in found]
    assert [p.fmax for p in found] == [50.0 if p.core == ROUTED else None for p in found]
    assert len(asked) == len(set(asked)) == 2 * len(found) + len(CHOICES)
    assert found[0].lut == {"ecp5": 1, "xcup": 2}


def test_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "PAGE", tmp_path / "formats.md")
    monkeypatch.setattr(study, "study", lambda step: points())
    assert study.main([]) == 0
    assert capsys.readouterr().out == "wrote docs/formats.md\n"
    assert (tmp_path / "formats.md").read_text() == page(points())


def test_page_is_what_the_command_writes():
    """But for the figures of FPGAs, which take an hour."""
    figures = re.compile(r"^\|(?: \w+ | {1,2})\| ([\w ]+) \| [\d,]+ ?.*$", re.M)
    (about, _, areas), (own, _, others) = (
        text.partition("## Of an FPGA") for text in (PAGE.read_text(), page(points()))
    )
    assert about == own
    assert figures.sub("", areas) == figures.sub("", others)
    assert figures.findall(areas) == [*CHOICES] * len(CORES)
