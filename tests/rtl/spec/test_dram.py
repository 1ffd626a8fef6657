"""Declared DRAMs: their peaks, and values that the model has no room for."""

from dataclasses import replace

import pytest

from host.configurations import named
from rtl.spec.config import get as configuration
from rtl.spec.dram import DRAMS, Dram, get


def test_unknown_name():
    with pytest.raises(ValueError) as error:
        get("ddr9")
    assert (
        str(error.value) == "dram must be one of ddr3-240-x16, ddr3-300-x16, ddr3-800-x16, "
        "ddr4-2400-x64, ideal, sdr-50-x16, not 'ddr9'"
    )


@pytest.mark.parametrize("dram", [d for d in DRAMS.values() if not d.ideal], ids=lambda d: d.name)
def test_peak(dram):
    """Data sheets round a little."""
    assert replace(dram, peak=0).peak == pytest.approx(dram.peak, rel=1e-3)


def test_peak_of_an_ideal_memory():
    config = replace(configuration("small"), dram="ideal")
    assert config.dram_peak == 16 * 100e6
    assert replace(config, clock_mhz=50).dram_peak == 16 * 50e6


@pytest.mark.parametrize(
    "field, value, text",
    [
        ("ck_ps", 0, "ck_ps must be from 1 to 1000000"),
        ("rcd", -1, "rcd must be from 0 to 16777216"),
        ("rcd", 1.5, "rcd must be from 0 to 16777216"),
        ("bus_bytes", 3, "bus_bytes must be a power of two"),
        ("bl", 128, "bl must be from 2 to 64"),
        ("queue", 0, "queue must be from 1 to 1024"),
        ("group_bits", 5, "group_bits must be from 0 to 4"),
        ("peak", -1.0, "peak must be 0 or positive"),
    ],
)
def test_wrong(field, value, text):
    with pytest.raises(ValueError) as error:
        replace(DRAMS["ddr3-800-x16"], **{field: value})
    assert str(error.value) == f"DRAM 'ddr3-800-x16': {text}, not {value!r}"


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"group_bits": 3, "bank_bits": 4}, "group_bits and bank_bits must be 6 at most, not 7"),
        ({"mop": True, "column_bits": 1}, "mop needs column_bits of 2 or more, not 1"),
        ({"refi": 10, "rfc": 10}, "refi must be above rfc, 10, not 10"),
    ],
)
def test_wrong_together(fields, text):
    with pytest.raises(ValueError) as error:
        Dram(name="mine", **fields)
    assert str(error.value) == f"DRAM 'mine': {text}"


@pytest.mark.parametrize("config", named().values(), ids=lambda config: config.name)
def test_configurations(config):
    assert config.dram in DRAMS.values() and config.dram_peak == config.dram.peak > 0
