# amaranth: UnusedElaboratable=no
"""Every component is listed, has its oracles, and has a bench that asks them."""

import pytest

from sim.harness import runner
from sim.harness.build import BenchError, bench as bench_of, build, cases
from sim.oracles import components
from sim.tools import ROOT

from ...test_layers import imports
from .inputs import ORACLES


def test_every_component_is_listed():
    assert not components.unlisted(components.files())
    lists = (components.COMPUTES, components.PARTS, components.MOVES)
    for path in {path for each in lists for path in each}:
        assert sum(path in each for each in lists) == 1, f"{path} must be in one list"
        assert (ROOT / path).exists(), f"{path} does not exist"
    assert set(components.PARTS.values()) <= set(components.COMPUTES)


def test_new_component_is_missed():
    new = "rtl/vector/cosine.py"
    assert components.unlisted([*components.files(), new]) == [new]


@pytest.mark.parametrize("path", components.COMPUTES)
def test_bench_is_for_the_component(path):
    """The bench exists, and imports the component; its oracles exist."""
    bench, names = components.COMPUTES[path]
    module = path.removesuffix(".py").replace("/", ".")
    sources = {cls.__module__ for cls in vars(bench_of(bench)).values() if isinstance(cls, type)}
    assert cases(bench) and names and set(names) <= set(ORACLES)
    # A bench of many components finds them where they are registered.
    assert module in sources or module in {
        type(make()).__module__ for make in cases(bench).values()
    }


@pytest.mark.parametrize("part", components.PARTS)
def test_part_is_within(part):
    """The component imports it, or what imports it."""
    found, ahead = set(), [components.PARTS[part]]
    while ahead:
        path = ahead.pop()
        if path not in found and (ROOT / path).exists():
            found.add(path)
            for name, _ in imports(path, (ROOT / path).read_text()):
                module = name.split(".")
                ahead += ["/".join(module[:n]) + ".py" for n in range(2, len(module) + 1)]
    assert part in found


def test_every_oracle_is_asked():
    assert {name for _, names in components.COMPUTES.values() for name in names} == set(ORACLES)


# Of `sw_ref`, what benches may know: sizes, and what goes into their vectors.
CONSTANTS = {
    "numerics.GROUP",
    "numerics.MAGIC",
    "attention.BLOCK",
    "attention.FRACTION",
    "sequences.RECIPROCAL",
    "sequences.SILU_GATE",
    "sequences.norm_scale",
}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "sim" / "benches").rglob("*.py")), ids=lambda path: path.stem
)
def test_benches_do_not_compute(path):
    """Nothing of `sw_ref` that computes is called beside the oracles."""
    names = {name for name, _ in imports(str(path.relative_to(ROOT)), path.read_text())}
    known = {f"sw_ref.{name}" for name in CONSTANTS}
    assert not [name for name in names - known if name.split(".")[0] in ("sw_ref", "torch")]


@pytest.mark.seconds(5)
def test_bench_that_does_not_ask(monkeypatch):
    """The runner has what the bench wrote when it asked; a component that is new is missed."""
    built = build("fp_mul", "fp32")
    assert runner.simulate(built)
    assert components.unasked("fp_mul", built.folder / "oracles") == []
    monkeypatch.setitem(components.COMPUTES, "rtl/fp/new.py", ("fp_mul", ["fp.ADD", "fp.MULTIPLY"]))
    with pytest.raises(BenchError, match="^fp_mul-fp32.*: the bench has not asked fp.ADD, which"):
        runner.simulate(built)
    assert runner.simulate(built, only="ties")


def test_bench_without_a_component_needs_none(tmp_path):
    assert components.unasked("skid", tmp_path / "nothing") == []
    assert components.unasked("fp_mul", tmp_path / "nothing") == ["fp.MULTIPLY"]
