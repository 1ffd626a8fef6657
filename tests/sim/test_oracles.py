"""Oracles refuse what is wrong, every component has its own, and every bench asks them."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from rtl.isa import Func, WeightFormat
from sim import runner
from sim.benches import top
from sim.bench_build import BenchError, build, cases
from sim.oracles import components, oracle
from sim.oracles.oracle import Oracle, OracleError, Within
from sim.tools import ROOT


MODULES = ("fp", "linear", "vector", "attention", "program")
ORACLES = {each.name: each for name in MODULES
           for each in vars(import_module(f"sim.oracles.{name}")).values()
           if isinstance(each, Oracle)}


def floats(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(limit, *shape):
    return np.random.default_rng(1).integers(-limit, limit + 1, shape)


def exponents(*shape):
    return np.full(shape, 127, np.uint8)


HEADS = (ints(32767, 2, 64), exponents(2) - 2, ints(127, 40, 64), exponents(40))
# Ordinary inputs of each oracle, for which each claims something about all that comes out.
INPUTS = {
    "fp.ADD": (floats(50), floats(50)[::-1]),
    "fp.MULTIPLY": (floats(50), floats(50)[::-1]),
    "fp.FROM_INT": (ints(1 << 40, 50), ints(20, 50)),
    "fp.LOAD": (floats(50),),
    "linear.WEIGHTS": (WeightFormat.U4, abs(ints(15, 6, 64)), abs(ints(255, 6, 2)),
                       ints(127, 6, 2), 3),
    "linear.PRODUCTS": (ints(127, 6, 32), ints(127, 2, 32)),
    "linear.ALIGNMENT": (abs(ints(255, 3, 4)),),
    "linear.GROUP_SUMS": (ints(1 << 18, 2, 6), ints(4000, 2), abs(ints(255, 6)), ints(127, 6),
                          abs(ints(15, 2))),
    "linear.EXACT_SUMS": (ints(3000, 6, 64), ints(127, 2, 64), exponents(2, 2)),
    "linear.ROW_SCALE": (ints(1 << 40, 6), floats(6), np.full(6, 127)),
    "linear.LINEAR": (ints(3000, 6, 64), floats(6), floats(2, 64)),
    "linear.EMBEDDING": (ints(3000, 6, 64), floats(6), 4),
    "linear.BEST_LOGITS": (floats(100),),
    "vector.ELEMENTWISE": (Func.MADD, floats(50), floats(50)[::-1], floats(50)),
    "vector.DOT": (floats(3, 100), floats(3, 100)),
    "vector.QUANTIZE": (floats(3, 64), 32, 8),
    "vector.RECIPROCALS": (abs(floats(50)),),
    "vector.RMS_NORM": (floats(3, 64), floats(64), 1e-5),
    "vector.SILU": (floats(50), floats(50)[::-1]),
    "vector.ROTARY": tuple(floats(50, seed=n) for n in range(4)),
    "attention.SCORES": HEADS,
    "attention.WEIGHTS": (ints(4000, 2, 40), exponents(40)),
    "attention.ACCUMULATE": (abs(ints(3, 4, 2, 1)), ints(1 << 20, 4, 2, 64)),
    "attention.ATTEND": (*HEADS, ints(127, 40, 64), exponents(40)),
}


def program():
    """The program of the top bench, as its oracle takes it."""
    config, fmt = top.CONFIGS["small"]
    words = [insn.encode() for insn in top.program(config, fmt)]
    return config, top.image(config, fmt), words, (top.CACHE, top.UNITS), [top.TOKEN], top.POSITION


def inputs_of(name):
    return program() if name == "program.RUN" else INPUTS[name]


def changed(function, change):
    """The function with its outputs changed: by `change(n, output)`."""
    def wrong(*inputs):
        outputs = function(*inputs)
        if isinstance(outputs, tuple):
            return tuple(change(n, output) for n, output in enumerate(outputs))
        return change(0, outputs)
    return wrong


def one_more(which):
    """Adds one to the last element of output `which`: in the last place of float32."""
    def change(n, output):
        if n != which:
            return output
        output = output.clone() if isinstance(output, torch.Tensor) else np.array(output)
        flat = output.reshape(-1)
        if output.dtype in (torch.float32, np.float32):
            flat = flat.view(torch.int32 if isinstance(output, torch.Tensor) else np.int32)
        flat[-1] += 1
        return output
    return change


def outputs_of(each):
    result = each.reference(*inputs_of(each.name))
    return result if isinstance(result, tuple) else (result,)


EVERY = [pytest.param(each, which, id=f"{name}-{which}") for name, each in ORACLES.items()
         for which in range(len(outputs_of(each)))]


def test_all_have_inputs_here():
    assert {*INPUTS, "program.RUN"} == set(ORACLES)


@pytest.mark.parametrize("each, which", EVERY)
def test_one_bit_is_refused(each, which):
    """In either computation, and in each of their outputs."""
    inputs = inputs_of(each.name)
    each.expect(*inputs)
    for part in ("reference", "exact"):
        wrong = replace(each, **{part: changed(getattr(each, part), one_more(which))}, plain=None)
        message = rf"^{each.name}: output {which} at .* in sw_ref, .* in torch$"
        with pytest.raises(OracleError, match=message):
            wrong.expect(*inputs)


# Bounds, as a share of the largest value, of the ordinary inputs above: none is so wide that it says
# nothing. That of LINEAR adds up the worst of every activation; sums of random ones are far below.
WITHIN = {
    "linear.LINEAR": 0.2, "vector.QUANTIZE": 2 ** -7, "attention.SCORES": 1e-3,
    "attention.WEIGHTS": 1e-2, "attention.ACCUMULATE": 1e-4, "attention.ATTEND": 1e-2}


@pytest.mark.parametrize("each", [each for each in ORACLES.values() if each.plain],
                         ids=lambda each: each.name)
def test_what_both_have_wrong_is_refused(each):
    """Twice the bound away from plain PyTorch, where `sw_ref` and torch agree."""
    inputs = inputs_of(each.name)
    tensors = [oracle._tensor(x) for x in inputs]
    plain = each.plain(*tensors)
    for n, within in enumerate([plain] if isinstance(plain, Within) else plain):
        if within is None:
            continue
        value, bound = within.value, within.bound.expand_as(within.value)
        assert bound.max() <= WITHIN.get(each.name, 2e-6) * value.abs().max()
        for sign in (-1, 1):
            off = value.clone()
            far = off.reshape(-1)[-1:] + sign * 2 * bound.reshape(-1)[-1]
            off.reshape(-1)[-1:] = torch.nextafter(far, sign * torch.full_like(far, torch.inf))

            def values(outputs, *_, n=n, off=off):
                return [off if k == n else x for k, x in enumerate(each.values(outputs, *tensors))]
            with pytest.raises(OracleError, match=rf"^{each.name}: output {n} at .* plain torch"):
                replace(each, values=values).expect(*inputs)


def test_not_a_number_is_refused():
    wrong = replace(ORACLES["fp.ADD"], values=lambda outputs, *_: (outputs[0].double() * np.nan,))
    with pytest.raises(OracleError, match="^fp.ADD: output 0 at .* is nan"):
        wrong.expect(*INPUTS["fp.ADD"])


def test_infinity_is_refused():
    wrong = Oracle("infinite", lambda x: x + np.float32(np.inf), lambda x: x + np.inf)
    with pytest.raises(OracleError, match="^infinite: output 0 has an exponent field of 255$"):
        wrong.expect(np.ones(3, np.float32))


@pytest.mark.parametrize("module, function, oracles", [
    ("numerics", "rounded", "fp.ADD fp.MULTIPLY vector.DOT vector.RMS_NORM vector.SILU"),
    ("torch_ops", "single", "fp.ADD fp.MULTIPLY vector.DOT vector.RMS_NORM vector.SILU"),
    ("torch_ops", "number", "fp.MULTIPLY"),
])
def test_shared_rounding(monkeypatch, module, function, oracles):
    """A definition that is off in the last place, by a change where all of them round."""
    module = import_module(f"sw_ref.{module}")
    right = getattr(module, function)
    monkeypatch.setattr(module, function, lambda x: right(x) * right(x).dtype.type(1 + 2 ** -23)
                        if isinstance(x, np.ndarray) else right(x) * (1 + 2 ** -23))
    for name in oracles.split():
        with pytest.raises(OracleError):
            ORACLES[name].expect(*INPUTS[name])


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
    sources = {cls.__module__ for cls in vars(import_module(f"sim.benches.{bench}")).values()
               if isinstance(cls, type)}
    assert cases(bench) and module in sources and names and set(names) <= set(ORACLES)


def test_every_oracle_is_asked():
    assert {name for _, names in components.COMPUTES.values() for name in names} == set(ORACLES)


def test_bench_that_does_not_ask(monkeypatch):
    """The runner has what the bench wrote when it asked; a component that is new is missed."""
    built = build("fp_mul", "fp32")
    assert runner.simulate(built) == 5
    assert components.unasked("fp_mul", built.folder / "oracles") == []
    monkeypatch.setitem(components.COMPUTES, "rtl/fp/new.py", ("fp_mul", ["fp.ADD", "fp.MULTIPLY"]))
    with pytest.raises(BenchError, match="^fp_mul-fp32: the bench has not asked fp.ADD, which"):
        runner.simulate(built)
    assert runner.simulate(built, only="ties") == 1


def test_bench_without_a_component_needs_none(tmp_path):
    assert components.unasked("skid", tmp_path / "nothing") == []
    assert components.unasked("fp_mul", tmp_path / "nothing") == ["fp.MULTIPLY"]
