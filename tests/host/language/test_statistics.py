from dataclasses import replace
from types import SimpleNamespace

import pytest

from host.language.generate import Token
from host.language.statistics import Statistics
from rtl.spec.config import get


def tokens(*fed_cycles_beats):
    return [
        Token(
            id=1,
            position=n,
            top_ids=[1],
            top_logits=[0.0],
            fed=fed,
            cycles=cycles,
            weight_beats=beats,
            seconds=2.0,
        )
        for n, (fed, cycles, beats) in enumerate(fed_cycles_beats)
    ]


def statistics(name, *of):
    config = get(name)
    return Statistics(SimpleNamespace(weight_bytes=640 * config.beat_bytes), config, tokens(*of))


@pytest.mark.parametrize("name, clock", [("small", 100e6), ("wide", 300e6)])
def test_only_decode_steps_count(name, clock):
    s = statistics(name, (5, 9000, 4000), (1, 1000, 800), (1, 3000, 800))
    f = s.figures
    assert f["cycles_per_token"] == 2000 and f["tokens_per_second_at_clock"] == clock / 2000
    # Both buses carry as much as their DRAM: utilization is weight beats per cycle.
    assert f["utilization"] == pytest.approx(0.4)
    assert f["prompt_tokens"] == 5 and f["seconds"] == 6 and f["seconds_per_token"] == 2
    assert s.line.startswith("2,000 cycles/token; 40.0 % of the DRAM's peak is weights; ")
    assert s.line.endswith("first token after 2.00 s, then 2.00 s/token on this host")


def test_utilization_is_a_share_of_the_peak():
    config = get("small")
    half = Statistics(
        SimpleNamespace(weight_bytes=0), replace(config, clock_mhz=50.0), tokens((1, 1000, 1000))
    )
    assert half.figures["utilization"] == pytest.approx(0.5)


def test_prompt_alone():
    s = statistics("wide", (5, 9000, 4000))
    assert s.figures["utilization"] is s.figures["cycles_per_token"] is None
    assert s.line == "first token after 2.00 s on this host"


def test_device_that_counts_cycles_alone():
    assert statistics("wide", (1, 1000, 0)).figures["utilization"] == pytest.approx(0.64)


def test_device_that_does_not_count():
    s = statistics("wide", (3, None, 0), (1, None, 0))
    assert s.figures["utilization"] is None
    assert s.line == "first token after 2.00 s, then 2.00 s/token on this host"
