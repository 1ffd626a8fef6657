import pytest
from rich.console import Console

from boards.board import get
from boards.report import changed, describe, missed, table


CLOCK = "posedge $glbnet$clk"


def step(kind, delay, begin="a", end="b"):
    return {"type": kind, "delay": delay, "from": {"cell": begin}, "to": {"cell": end}}


def routed(fmax=85.0):
    """What nextpnr reports."""
    return {
        "fmax": {
            "$glbnet$clk": {"achieved": fmax, "constraint": 80.0},
            "late": {"achieved": 300.0, "constraint": 80.0},
        },
        "utilization": {
            name: {"used": 10 * n, "available": 1000}
            for n, name in enumerate(
                (
                    "TRELLIS_COMB",
                    "TRELLIS_FF",
                    "MULT18X18D",
                    "DP16KD",
                    "EHXPLLL",
                    "TRELLIS_IO",
                    "DCCA",
                )
            )
        },
        "critical_paths": [
            {"from": "<async>", "to": CLOCK, "path": [step("routing", 50.0)]},
            {"from": CLOCK, "to": "posedge late", "path": [step("routing", 50.0)]},
            {
                "from": CLOCK,
                "to": CLOCK,
                "path": [
                    step("clk-to-q", 0.5, "first"),
                    step("routing", 6.25),
                    step("logic", 2.0),
                    step("routing", 3.0),
                    step("setup", 0.25, "x", "last"),
                ],
            },
        ],
    }


def report(**how):
    return describe(
        get("ulx3s-85f"),
        routed(**how),
        machine=True,
        seed=3,
        seconds={"synthesis": 1.5},
        size=1000,
        digest="abc",
    )


def test_describe():
    found = report()
    assert found["fmax_mhz"] == {"clk": 85.0, "late": 300.0}
    assert found["target_mhz"] == {"clk": 80.0, "late": 80.0}
    assert found["resources"]["FF"] == {"used": 10, "available": 1000}
    assert found["resources"]["IO"] == {"used": 50, "available": 1000}
    assert found["limits"] == {
        "clk": {"from": "first", "to": "last", "routing_ns": 9.25, "logic_ns": 2.75}
    }
    assert found["seed"] == 3 and found["core"] == get("ulx3s-85f").config.core


@pytest.mark.parametrize(
    "fmax, lines",
    [
        (80.0, []),
        (
            79.9,
            [
                "clock clk reaches 79.9 MHz, not its 80.0 MHz: the path from first to last is too "
                "long"
            ],
        ),
    ],
)
def test_missed(fmax, lines):
    assert list(missed(report(fmax=fmax))) == lines


def test_changed():
    before = report()
    assert not list(changed(before, before))
    # Better is no news, and neither is what placement does by chance.
    less = report(fmax=79.0)
    less["resources"]["LUT4"]["used"] = 0
    assert not list(changed(less, before))
    for name, used in ("MULT18", 21), ("BRAM", 31), ("FF", 11):
        more = report()
        more["resources"][name]["used"] = used
        (line,) = changed(more, before)
        assert line == f"{used} {name}, where {before['resources'][name]['used']} were used before"
    few = report()
    few["resources"]["FF"]["used"] = 1020
    many = report()
    many["resources"]["FF"]["used"] = 1000
    assert not list(changed(few, many))
    (line,) = changed(report(fmax=78.0), before)
    assert line == "clock clk reaches 78.0 MHz, where it reached 85.0 MHz before"
    gone = report()
    del gone["fmax_mhz"]["late"]
    assert list(changed(gone, before)) == ["there is no clock late any more"]


def text(what):
    console = Console(width=100, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(what)
    return capture.get().splitlines()


def test_table():
    lines = [line.split() for line in text(table(report(fmax=79.0)))]
    assert ["LUT4", "0", "1,000", "0%"] in lines and ["IO", "50", "1,000", "5%"] in lines
    assert ["clk,", "MHz", "79.0", "80.0", "missed"] in lines and [
        "late,",
        "MHz",
        "300.0",
        "80.0",
    ] in lines
    lines = [line.split() for line in text(table(report(), report(fmax=90.0)))]
    assert ["clk,", "MHz", "85.0", "80.0", "90.0"] in lines and [
        "FF",
        "10",
        "1,000",
        "1%",
        "10",
    ] in lines
