"""Every gate of a feed-forward network that has a sequence is one in PyTorch too, and they are the
same; new ones are found.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mapper.assembler import Area, Assembler
from rtl.spec.isa import Func
from sim.harness.patterns import EDGES, floats
from sw_ref import kernels
from sw_ref.machine import VECTOR_OPERANDS
from sw_ref.pytorch import gates, ops
from sw_ref.sequences import GATES, SEQUENCES, evaluate, gate, inputs


NAMES = sorted(name.removesuffix("_gate") for name in SEQUENCES if name.endswith("_gate"))
ALL = pytest.mark.parametrize("name", NAMES)
LANES = 8
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


def check_steps(steps):
    """What the lowering relies on."""
    assert set(inputs(steps)) == {"g", "up", "s"}
    reads = [{o for o in operands if isinstance(o, str)} for _, _, *operands in steps]
    # Without a factor, steps that read it are left out: those that multiply it in, and no others.
    factors = [(func, result, *rest) for func, result, *rest in steps if "s" in rest]
    assert sorted(factors) == [(Func.MADD, n, n, "s", 0.0) for n in ("g", "up")]
    # The value may lie where the gate's rows do not: the last step alone writes it.
    assert steps[-1][1] == "g" and "g" not in reads[-1]


@ALL
def test_steps(name):
    check_steps(gate(name))


def test_all_have_all():
    assert NAMES and set(NAMES) == set(gates.GATES) == set(GATES)


def magnitudes(least, most):
    """Numbers of both signs, and zeros."""
    x = np.exp2(np.linspace(least, most, 4001))
    return np.concatenate([-x, [-0.0, 0.0], x]).astype(np.float32)


@ALL
def test_float32_function(name):
    """What evaluation computes is what PyTorch does in float64."""
    x = magnitudes(-126, 63)
    exact = gates.of(name).float32(torch.tensor(x).double(), torch.ones(len(x)).double()).numpy()
    # PyTorch's GELUs subtract from 1, even in float64.
    np.testing.assert_allclose(GATES[name](x), exact, rtol=3e-5, atol=1e-15)
    assert GATES[name](x).dtype == np.float32


@ALL
def test_every_magnitude(name):
    """Off by 1e-6 of the result, or by 1e-6, wherever fp32 holds it."""
    x = magnitudes(-120, 90)
    with np.errstate(over="ignore"):
        exact = np.float64(GATES[name](x.astype(np.float64)))
    x, exact = x[exact < 1e38], exact[exact < 1e38]
    found = evaluate(gate(name), g=x, up=np.float32(1), s=np.float32(1))["g"]
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-6)
    close = np.abs(x) < 2  # where activations are
    np.testing.assert_allclose(found[close], exact[close], rtol=1e-6, atol=1e-37)


def run(steps, areas, memory):
    """Execute steps as the mapper emits them, on the functional machine's vector memory."""
    asm = Assembler(LANES)
    asm.steps(steps, areas, inner=next(iter(areas.values())).size)
    for insn in asm.insns:
        _, *fields = vars(insn).values()
        kernels.vector(memory, LANES, insn.func.value, *fields[:VECTOR_OPERANDS])


@ALL
def test_alone(name):
    """Without the other half, as a plain activation: a number takes its place, and the gate's rows
    stay as they are."""
    x = floats(EDGES)
    x = np.resize(x[np.isfinite(x)], 64)
    steps = [step for step in gate(name) if "s" not in step]
    words = sorted({result for _, result, *_ in steps} - {"g"})
    areas = {word: Area(64 * n, 64) for n, word in enumerate(["g", *words, "value"])}
    memory = np.full(64 * len(areas), 7, np.float32)
    memory[:64] = x
    *before, last = steps
    run(before, areas | {"up": 1.0}, memory)
    run([last], areas | {"up": 1.0, "g": areas["value"]}, memory)
    expected = evaluate(steps, g=x, up=1.0)["g"]
    np.testing.assert_array_equal(memory[-64:].view(np.uint32), expected.view(np.uint32))
    np.testing.assert_array_equal(memory[:64].view(np.uint32), x.view(np.uint32))


@ALL
def test_bits(name):
    """The sequence, and what is written from the formula, give the same bits."""
    g, up = (x.ravel() for x in np.meshgrid(floats(EDGES), floats(EDGES)))
    ours = evaluate(gate(name), g=g, up=up, s=np.float32(1))["g"]
    one = (ops.madd(torch.tensor(x), 1.0, 0.0) for x in (g, up))
    theirs = gates.of(name).machine(*one).numpy()
    assert np.isfinite(ours).all()
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


@ALL
def test_is_what_it_is_called(name):
    g = np.linspace(-40, 40, 4001).astype(np.float32)
    up = np.full_like(g, -1.7)
    exact = gates.of(name).float32(torch.tensor(g).double(), torch.tensor(up).double())
    ours = evaluate(gate(name), g=g, up=up, s=np.float32(1))["g"]
    np.testing.assert_allclose(ours, exact.numpy(), rtol=5e-6, atol=1e-12)


@pytest.mark.parametrize("wrong", [slice(1, None), slice(None, -1)])
def test_wrong_steps_are_found(wrong):
    with pytest.raises(AssertionError):
        check_steps(gate("silu")[wrong])


@pytest.mark.parametrize("of", [gate, gates.of])
def test_unknown(of):
    message = rf"^Gate must be one of {', '.join(NAMES)}, not 'tanh'$"
    with pytest.raises(ValueError, match=message):
        of("tanh")


def test_architecture_lists_all():
    """The table of gates names each, with what it takes."""
    rows = re.findall(r"^\| `(\w+)` \|.* \| (\d+) \|", ARCHITECTURE.read_text(), re.MULTILINE)
    passes = {n: sum("s" not in step for step in gate(n)) for n in NAMES}
    assert {name: int(count) for name, count in rows if name in NAMES} == passes
