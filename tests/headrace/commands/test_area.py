"""`headrace area`: what is asked of synthesis, and what comes of it."""

import json

import pytest

import headrace
from boards import synthesis
from boards.synthesis import Area
from headrace.library.components import COMPONENTS

from ..command import call, error


@pytest.fixture
def asked(monkeypatch):
    """What is synthesized: (text, family) of each."""
    asked = []
    monkeypatch.setattr(synthesis, "check_tools", lambda route: None)
    monkeypatch.setattr(
        synthesis,
        "synthesize",
        lambda text, family: (
            asked.append((text, family)) or Area(family, 1200 + len(asked), 30, 4, 0, {}, 1.0)
        ),
    )
    return asked


def test_table(capsys, asked):
    """Of the named parts, in the order of the command line, at that configuration."""
    code, out, _ = call(capsys, "area", "load", "multiplier", "--config", "wide")
    assert code == 0 and out.splitlines()[0].split() == [
        "wide,",
        "ecp5",
        "LUT",
        "FF",
        "DSP",
        "BRAM",
    ]
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["load", "1,201", "30", "4", "0"],
        ["multiplier", "1,202", "30", "4", "0"],
    ]
    assert [family for _, family in asked] == ["ecp5", "ecp5"]
    # 512 bits of a beat at `wide`.
    assert "wire width 512" in asked[0][0] and "part00" in asked[1][0]


def test_json(capsys, asked):
    out = call(capsys, "area", "adder", "--set", "lanes=8", "--family", "xcup", "--json")[1]
    said = json.loads(out)
    assert (said["config"], said["family"]) == ("small+lanes=8", "xcup")
    assert said["parts"]["adder"]["lut"] == 1201 and asked[0][1] == "xcup"


def test_library(asked, monkeypatch):
    assert headrace.area("small", "adder")["adder"].dsp == 4
    monkeypatch.setitem(COMPONENTS, "whole", lambda config: f"all of {config.name}")
    monkeypatch.setattr(synthesis, "text_of", str)
    assert [*headrace.area("small")] == ["whole"] and asked[-1][0] == "all of small"


@pytest.mark.parametrize(
    "args, begins, ends",
    [
        (["lanes"], "PART must be one of multiplier; adder; lane; ", "; whole, not 'lanes'"),
        (["--config", "huge"], "the configuration must be one of ", "; not 'huge'"),
        (["--family", "ice40"], "family must be one of ecp5, xcup, not 'ice40'", ""),
    ],
)
def test_wrong(capsys, asked, args, begins, ends):
    said = error(capsys, "area", *args)
    assert said.startswith(begins) and said.endswith(ends) and not asked
