# amaranth: UnusedElaboratable=no

import pytest

from boards.synthesis import Area, Routed
from headrace.studies import cores
from headrace.studies.cores import hardware, with_core
from rtl.spec.config import CORES, get


TAKE_U4 = [core for core, formats in CORES.items() if "U4" in formats]


@pytest.fixture
def tools(monkeypatch):
    """Synthesis without tools: counts what it is asked for."""
    asked = []

    def synthesize(text, family):
        asked.append(family)
        return Area(family=family, lut=1000, ff=20, dsp=30, bram=4, cells={}, seconds=0.0)

    def route(text):
        asked.append("route")
        return Routed(fmax=100.0, seconds=0.0)

    monkeypatch.setattr(cores, "synthesize", synthesize)
    monkeypatch.setattr(cores, "place_and_route", route)
    return asked


def test_with_core():
    config = with_core(get("small"), "lut", ["TERNARY"])
    assert (config.core, set(config.formats)) == ("lut", {"TERNARY", "S8"})
    assert config.digest == get("small").digest
    assert config.name != with_core(get("small"), "lut", ["U4"]).name
    assert with_core(get("small"), "systolic", ["U1"]) is None


@pytest.mark.seconds(1)
@pytest.mark.parametrize("core", TAKE_U4)
def test_hardware(tools, core):
    figures = hardware(with_core(get("small"), core, ["U4", "S8"]))
    assert figures["peak_macs"] == 32
    assert figures["core_ecp5"] == {"lut": 1000, "ff": 20, "dsp": 30, "bram": 4, "fmax": 100.0}
    assert tools == ["ecp5", "xcup", "route", "ecp5", "route"]


def test_peak_is_the_same_for_all_cores(tools, monkeypatch):
    monkeypatch.setattr(cores, "text_of", lambda design: "")
    peaks = {
        hardware(with_core(get("wide"), core, ["U4"]), route=False)["peak_macs"] for core in TAKE_U4
    }
    assert peaks == {4 * 4 * 32} and "route" not in tools


def test_too_large_to_route(tools, monkeypatch):
    monkeypatch.setitem(cores.LARGEST, "lut", 999)
    assert hardware(with_core(get("small"), "systolic", ["U4"]))["core_ecp5"]["fmax"] is None
    assert "route" not in tools
