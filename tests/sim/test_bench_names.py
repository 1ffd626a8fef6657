"""Where the bench of a component is: the rule that :mod:`sim.benches` states."""

import pytest

import sim.benches
from sim.mutate.owners import OWNERS
from sim.tools import ROOT


BENCHES = ROOT / "sim" / "benches"
NAMES = [
    str(path.relative_to(BENCHES).with_suffix("")) for path in sorted(BENCHES.glob("*/[!_]*.py"))
]
# Benches with another name than their component has.
OTHERS = {
    "attention/attention": "attention/unit",
    "cores/dsp_cell": "cores/dsp",
    "linear/linear_front": "linear/pipeline",
}


def components(bench):
    """What a bench of a folder may be of, by its name."""
    folder, name = bench.split("/")
    return [bench, f"{folder}/{name.removeprefix(f'{folder}_')}"]


def found(bench):
    """The file in `rtl` that a bench is of, without `.py`, or None."""
    named = [name for name in components(bench) if (ROOT / "rtl" / f"{name}.py").exists()]
    return named[0] if named else None


@pytest.mark.parametrize("bench", NAMES)
def test_name_says_the_component(bench):
    component = found(bench) or OTHERS[bench]
    assert component in OWNERS[bench.split("/")[1]].files


def test_the_others_are_listed_and_no_more():
    assert {bench for bench in NAMES if found(bench) is None} == set(OTHERS)
    assert all(f"`{bench}.py`" in sim.benches.__doc__ for bench in OTHERS)


@pytest.mark.parametrize(
    "bench, component",
    [("fp/add", "fp/add"), ("fp/fp_add", "fp/add"), ("fp/sub", None), ("link/fp_add", None)],
)
def test_rule(bench, component):
    assert found(bench) == component
