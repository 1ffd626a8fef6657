"""An oracle refuses what one of its computations has wrong, and what two of them have."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch

from sim.oracles import oracle
from sim.oracles.oracle import Oracle, OracleError, Within

from .inputs import INPUTS, MISREAD, ORACLES, inputs_of


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


EVERY = [
    pytest.param(each, which, id=f"{name}-{which}")
    for name, each in ORACLES.items()
    for which in range(len(outputs_of(each)))
]


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


# Bounds, as a share of the largest value, of these ordinary inputs: none is so wide that it says
# nothing. That of LINEAR adds up the worst of every activation; sums of random ones are far below.
WITHIN = {
    "linear.LINEAR": 0.2,
    "vector.QUANTIZE": 2**-7,
    "attention.SCORES": 1e-3,
    "attention.CAPPED": 1e-4,
    "attention.WEIGHTS": 1e-2,
    "attention.ACCUMULATE": 1e-4,
    "attention.ATTEND": 1e-2,
}


@pytest.mark.parametrize(
    "each", [each for each in ORACLES.values() if each.plain], ids=lambda each: each.name
)
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


@pytest.mark.parametrize("name", MISREAD)
def test_misreading_is_refused(name):
    """Which both implementations share, so that their bits agree."""
    each, (_, change) = ORACLES[name], MISREAD[name]
    inputs = inputs_of(name)
    tensors = tuple(oracle._tensor(x) for x in change(*inputs))
    wrong = replace(
        each,
        reference=lambda *_: each.reference(*change(*inputs)),
        exact=lambda *_: each.exact(*tensors),
    )
    replace(wrong, plain=None).expect(*inputs)
    with pytest.raises(OracleError, match="in plain torch"):
        wrong.expect(*inputs)


def test_misreadings_are_of_all():
    assert set(MISREAD) == {each.name for each in ORACLES.values() if each.plain}


def test_not_a_number_is_refused():
    wrong = replace(ORACLES["fp.ADD"], values=lambda outputs, *_: (outputs[0].double() * np.nan,))
    with pytest.raises(OracleError, match="^fp.ADD: output 0 at .* is nan"):
        wrong.expect(*INPUTS["fp.ADD"])


@pytest.mark.parametrize("wrong", [np.float64, bool])
def test_other_types_are_refused(wrong):
    """Neither as inputs nor as outputs: they would be read as integers."""
    x = np.ones(3, np.float32)
    message = f"^Arrays must be float32 or integers, not {np.dtype(wrong)}$"
    with pytest.raises(TypeError, match=message):
        ORACLES["fp.ADD"].expect(x.astype(wrong), x)
    with pytest.raises(TypeError, match=message):
        Oracle("other", lambda x: x.astype(wrong), lambda x: x).expect(x)


def test_infinity_is_refused():
    wrong = Oracle("infinite", lambda x: x + np.float32(np.inf), lambda x: x + np.inf)
    with pytest.raises(OracleError, match="^infinite: output 0 has an exponent field of 255$"):
        wrong.expect(np.ones(3, np.float32))


@pytest.mark.parametrize(
    "module, function, oracles",
    [
        ("numerics", "rounded", "fp.ADD fp.MULTIPLY vector.DOT vector.RMS_NORM vector.SILU"),
        ("pytorch.ops", "single", "fp.ADD fp.MULTIPLY vector.DOT vector.RMS_NORM vector.SILU"),
        ("pytorch.ops", "number", "fp.MULTIPLY"),
    ],
)
def test_shared_rounding(monkeypatch, module, function, oracles):
    """A definition that is off in the last place, by a change where all of them round."""
    module = import_module(f"sw_ref.{module}")
    right = getattr(module, function)
    monkeypatch.setattr(
        module,
        function,
        lambda x: (
            right(x) * right(x).dtype.type(1 + 2**-23)
            if isinstance(x, np.ndarray)
            else right(x) * (1 + 2**-23)
        ),
    )
    for name in oracles.split():
        with pytest.raises(OracleError):
            ORACLES[name].expect(*INPUTS[name])
