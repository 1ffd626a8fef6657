"""Every registered sequence is made of vector operations that both machines compute; new ones are
found.
"""

import numpy as np
import pytest
import torch

from rtl.spec.isa import Func, Vector
from sim.harness.patterns import EDGES, floats
from sw_ref import sequences
from sw_ref.pytorch.machine import FUNCTIONS as TORCH
from sw_ref.sequences import FUNCTIONS, SEQUENCES, evaluate, inputs
from sw_ref.sequences.trace import Word, Words, clamp, sequence


# Of the formulas that have any.
PARAMETERS = {
    "norm_scale": (576, 1e-5),
    "centred": (576,),
    "exp2_negative": (1.4426950408889634,),
    "exp2_parts": (1.4426950408889634,),
    "magnitude": (7.5,),
}
TRACED = {name: its(*PARAMETERS.get(name, ())) for name, its in SEQUENCES.items()}
ALL = pytest.mark.parametrize("name", TRACED)
X = floats(EDGES)


def check_steps(steps):
    """Steps are instructions, and the first of their operands comes from the caller."""
    assert steps
    given = inputs(steps)
    assert 0 < len(given) <= 3
    for func, result, *operands in steps:
        assert func in FUNCTIONS and isinstance(result, str) and len(operands) == 3
        assert isinstance(operands[0], str)  # `a` has no constant
        Vector(
            func=func,
            outer=1,
            inner=1,
            **{f"{letter}_const": isinstance(o, float) for letter, o in zip("bc", operands[1:])},
        )
    # What nobody reads is a result: the last step's, and no other.
    last = {result: n for n, (_, result, *_) in enumerate(steps)}
    unread = [
        name
        for name, n in last.items()
        if not any(name in operands for _, _, *operands in steps[n + 1 :])
    ]
    assert unread == [steps[-1][1]]


@ALL
def test_every_sequence_is_a_file(name):
    assert SEQUENCES[name].name == name and SEQUENCES[name].doc
    assert SEQUENCES[name].formula.__module__ == f"{sequences.__name__}.{name}"


@ALL
def test_steps(name):
    check_steps(TRACED[name])


def edges(count):
    """Every combination of `count` values at which a definition changes."""
    values = X if count < 3 else X[::5]
    return [x.ravel() for x in np.meshgrid(*[values] * count)]


@ALL
def test_both_implementations_give_the_same_finite_bits(name):
    steps = TRACED[name]
    values = dict(zip(inputs(steps), edges(len(inputs(steps)))))
    ours, theirs = evaluate(steps, **values), {n: torch.tensor(x) for n, x in values.items()}
    for func, result, *operands in steps:
        theirs[result] = TORCH[func](
            *(
                theirs[o] if isinstance(o, str) else None if o is None else torch.tensor([o])
                for o in operands
            )
        )
    for result in {result for _, result, *_ in steps}:
        assert np.isfinite(ours[result]).all()
        np.testing.assert_array_equal(
            ours[result].view(np.uint32), theirs[result].numpy().view(np.uint32), result
        )


def trace(formula):
    words = Words()
    formula(words)
    return words._steps


def test_formulas_are_traced():
    """Each operator is the one step that it reads like."""

    def formula(w):
        w.p = w.x * w.y
        w.q = w.x * w.y + w.z
        w.r = w.z + w.x * 2.0
        w.s = 1.5 - w.x * w.y
        w.t = w.z - w.x * 3.0
        w.u = w.x + w.y
        w.v = w.x - 4.0
        w.w = w.x - w.y
        w.c = clamp(w.w, 80.0)

    M, N = Func.MADD, Func.NMADD
    assert trace(formula) == [
        (M, "p", "x", "y", 0.0),
        (M, "q", "x", "y", "z"),
        (M, "r", "x", 2.0, "z"),
        (N, "s", "x", "y", 1.5),
        (N, "t", "x", 3.0, "z"),
        (M, "u", "x", 1.0, "y"),
        (M, "v", "x", 1.0, -4.0),
        (N, "w", "y", 1.0, "x"),
        (Func.CLAMP, "c", "w", 80.0, None),
    ]


@pytest.mark.parametrize(
    "formula, message",
    [
        (lambda w: setattr(w, "r", 1.0), "r must be one vector operation, not 1.0"),
        (lambda w: setattr(w, "r", w.x), "r must be one vector operation, not Word(name='x')"),
        (
            lambda w: setattr(w, "r", w.x * w.y + w.x * w.z),
            "Operand must be a word or a number, not Product(a='x', b='z')",
        ),
        (lambda w: setattr(w, "r", w.x * None), "Operand must be a word or a number, not None"),
    ],
)
def test_what_is_not_one_step_is_refused(formula, message):
    with pytest.raises(TypeError) as error:
        trace(formula)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [(Func.DOT, "r", "x", "x", None)],  # not elementwise
        [(Func.MADD, "r", 1.0, "x", "x")],  # `a` is a constant
        [(Func.MADD, "t", "x", "x", 0.0), (Func.MADD, "r", "x", "x", "x")],  # t is for nobody
    ],
)
def test_wrong_steps_are_found(steps):
    with pytest.raises(AssertionError):
        check_steps(steps)


def test_names_are_given_once():
    with pytest.raises(TypeError, match=r"^Sequence silu_gate must be registered once$"):

        @sequence
        def silu_gate(w):
            w.r = w.x * w.x

    assert Word("x") == Words().x
