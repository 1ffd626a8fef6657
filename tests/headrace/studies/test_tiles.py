import pytest

from boards.synthesis import Area, Routed
from headrace.studies import tiles as study
from headrace.studies.dense import DenseCore
from headrace.studies.tiles import FORMATS, WAYS, tile
from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore


pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.mark.parametrize("beat_bits", [128, 512])
@pytest.mark.parametrize(
    "fmt, rows, elements",
    [("U1", 4, 32), ("TERNARY", 2, 32), ("U2", 2, 32), ("U3", 1, 32), ("U4", 1, 32), ("S8", 1, 16)],
)
def test_all_ways_do_the_same(beat_bits, fmt, rows, elements):
    config = tile(beat_bits)
    assert study.macs_of(config, fmt) == rows * elements * beat_bits // 128
    for way in WAYS.values():
        core = way.core(config, fmt)
        assert core.lanes == rows * beat_bits // 128
        assert {f.name for f in core.native} == {fmt}


def test_ways():
    config = tile(128)
    assert [type(way.core(config, "U2")) for way in WAYS.values()] == [LutCore] * 2 + [
        TabledCore
    ] + [DenseCore] * 3
    assert [name for name, way in WAYS.items() if not way.dsp] == ["multipliers"]
    assert [WAYS[name].core(config, "U2").inputs for name in ("table2", "table4")] == [2, 4]


def test_study(monkeypatch):
    monkeypatch.setattr(study, "TILES", {128: {"planes": ("U1",), "multipliers": ("U1",)}})
    monkeypatch.setattr(study, "ROUTED", {128: {"planes": ("U1",)}})
    monkeypatch.setattr(
        study,
        "synthesize",
        lambda text, family, dsp: Area(
            family=family, lut=256 if dsp else 512, ff=1, dsp=0, bram=0, cells={}, seconds=0.0
        ),
    )
    monkeypatch.setattr(study, "place_and_route", lambda text, dsp: Routed(fmax=100.0, seconds=0.0))
    points = list(study.study())
    assert [(p.family, p.way, p.luts_per_mac, p.fmax) for p in points] == [
        ("ecp5", "planes", 2.0, 100.0),
        ("xcup", "planes", 2.0, None),
        ("ecp5", "multipliers", 4.0, None),
        ("xcup", "multipliers", 4.0, None),
    ]


def test_bits_increase():
    assert list(FORMATS.values()) == sorted(FORMATS.values())
