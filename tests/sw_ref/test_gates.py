"""Every gate of a feed-forward network that has a sequence is one in PyTorch too, and they are the
same; new ones are found.
"""

import numpy as np
import pytest
import torch

from rtl.spec.isa import Func
from sim.harness.patterns import EDGES, floats
from sw_ref.pytorch import gates, ops
from sw_ref.sequences import SEQUENCES, evaluate, gate, inputs


NAMES = sorted(name.removesuffix("_gate") for name in SEQUENCES if name.endswith("_gate"))
ALL = pytest.mark.parametrize("name", NAMES)


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


def test_both_have_all():
    assert NAMES and set(NAMES) == set(gates.GATES)


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
