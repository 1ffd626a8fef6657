"""Tokens, races, and runs that are followed without computing anything."""

from dataclasses import replace

import numpy as np
import pytest

from mapper.compile import compile_model
from rtl.spec.config import get
from rtl.spec.isa import Halt, Load, Loop, Scalar, Sync, Unit, Vector, decode
from sim.models.toy import toy_model
from sw_ref import verify as verifier
from sw_ref.checks import Bounds
from sw_ref.legal import IllegalProgram
from sw_ref.order import Order
from sw_ref.sequencer import Sequencer
from sw_ref.verify import corners, verify

from .programs import CACHE, CONFIG, DATA, UNITS, memory, run, words


@pytest.fixture(scope="module", params=["small", "wide"])
def image(request):
    return compile_model(toy_model(layers=5, heads=6, kv_heads=2), get(request.param), context=96)


def verified(image, program):
    verify(
        get(image.config),
        image.memory,
        image.memory_units,
        image.writable,
        tuple(program),
        image.context,
        image.vocab,
    )


@pytest.mark.seconds(1)
def test_every_token_is_needed(image):
    """A program that lacks one of its tokens has a race, or takes one that nobody gives."""
    program = image.instructions
    verified(image, program)
    tried = 0
    for pc, word in enumerate(program):
        insn = decode(word)
        for field in ("take", "give"):
            if getattr(insn, field, 0):
                changed = [*program[:pc], replace(insn, **{field: 0}).encode(), *program[pc + 1 :]]
                with pytest.raises(IllegalProgram) as caught:
                    verified(image, changed)
                assert caught.value.rule == ("race" if field == "take" else "token"), (
                    f"{pc}: {insn}"
                )
                tried += 1
    assert tried > 30


@pytest.mark.seconds(1)
def test_rounds_that_repeat_are_passed_over(image, monkeypatch):
    """And nothing else is: with another layer, hardly more is followed."""
    followed = []
    follow = Order.follow
    monkeypatch.setattr(
        Order, "follow", lambda self, insn: followed.append(insn) or follow(self, insn)
    )
    verified(image, image.instructions)
    some = len(followed)
    followed.clear()
    config = get(image.config)
    more = compile_model(toy_model(layers=9, heads=6, kv_heads=2), config, context=96)
    followed.clear()
    verified(more, more.instructions)
    assert len(followed) == some
    followed.clear()
    monkeypatch.setattr(verifier, "_alike", lambda one, other: False)
    verified(more, more.instructions)
    assert len(followed) > 1.5 * some


def loop(odd_round, step):
    """A loop of 64 rounds: LOAD writes 16 words, VECTOR reads them, and `step` further on in one
    round.
    """
    return words(
        [
            Scalar(rd=1),
            Sync(unit=Unit.VECTOR, give=2),
            Loop(length=9, count=64),
            # (r1 + 64 - odd_round) >> 6 is 0 before that round.
            Scalar(rd=2, source=1, factor=1, offset=64 - odd_round),
            Scalar(rd=3, source=2, shift=6, factor=step),
            Sync(unit=Unit.LOAD, take=2),
            Load(addr=DATA, size=1, dst=64),
            Sync(unit=Unit.LOAD, give=1),
            Sync(unit=Unit.VECTOR, take=1),
            Vector(outer=1, inner=16, d=128, a=64, b=64, c=64, a_reg=3),
            Sync(unit=Unit.VECTOR, give=2),
            Scalar(rd=1, source=1, factor=1, offset=1),
            Halt(),
        ]
    )


@pytest.mark.parametrize("odd_round", [0, 1, 2, 3, 4, 31, 63, 64])
def test_a_round_that_differs_is_followed(odd_round):
    def check(program):
        verify(CONFIG, memory(), UNITS, (CACHE, UNITS), program, 64, 4)

    check(loop(odd_round, 0))
    program = loop(odd_round, 16)
    if odd_round == 64:  # there is no such round
        check(program)
        return
    for refuse in check, run:
        with pytest.raises(IllegalProgram, match="rule `undefined`"):
            refuse(program)


def test_corners():
    one, many = get("small"), get("wide")
    assert [(len(t), p, h) for t, p, h in corners(one, 96, 50)] == [(1, 30, 0), (1, 95, 1)]
    assert [(len(t), p, h) for t, p, h in corners(many, 96, 50)] == [
        (1, 30, 0),
        (1, 95, 1),
        (4, 30, 0),
        (4, 92, 1),
    ]
    assert [(len(t), p) for t, p, _ in corners(many, 2, 50)] == [(1, 1), (1, 1), (2, 0), (2, 0)]
    assert {token for t, _, _ in corners(many, 96, 50) for token in t} == {0, 49}


def counted(gives, takes, more=0):
    """LOAD gives tokens, then VECTOR takes some, then LOAD gives more, then VECTOR takes all that
    are left.
    """
    return [
        Loop(length=1, count=gives),
        Sync(unit=Unit.LOAD, give=1),
        *([Loop(length=1, count=takes), Sync(unit=Unit.VECTOR, take=1)] if takes else []),
        *([Loop(length=1, count=more), Sync(unit=Unit.LOAD, give=1)] if more else []),
        Halt(),
    ]


def test_tokens_that_may_wait_in_a_counter():
    run(counted(255, 0))
    run(counted(255, 255))
    for program in (
        counted(256, 0),
        # VECTOR takes them, but maybe not before LOAD gives more.
        counted(255, 255, 1),
        counted(200, 200, 56),
    ):
        with pytest.raises(IllegalProgram, match="rule `token`: expected at most 255 tokens"):
            run(program)
    # When LOAD has heard that they were taken, it may.
    heard = [
        *counted(255, 255)[:-1],
        Sync(unit=Unit.VECTOR, give=2),
        Sync(unit=Unit.LOAD, take=2),
        *counted(255, 255),
    ]
    run(heard)


def test_state_tells_what_matters():
    """States that compare equal have the same words written, and the same to wait for."""
    orders = [Order(CONFIG, np.zeros(64, np.uint8)) for _ in range(2)]
    load = Load(addr=0, size=1, dst=0)
    for order in orders:
        order.follow(load)
    assert orders[0].state() == orders[1].state()
    orders[1].follow(replace(load, dst=16))
    assert orders[0].state() != orders[1].state()


def test_a_copy_goes_on_by_itself(image):
    """From any point of a run, with the same end, and without a trace in what it was copied
    from.
    """
    config, program = get(image.config), [decode(word) for word in image.instructions]
    sequencer = Sequencer(tuple(program), Bounds(config, image.memory_units, *image.writable), 1)
    executed = [insn for _, insn in sequencer.run([1], 40, True)]
    order, orders, states = Order(config, image.memory), [], []
    for n, insn in enumerate(executed):
        if n % 50 == 0:
            orders.append((n, order.copy()))
            states.append((order.state(), [[*each] for each in order.weights.waiting]))
        order.weights.follow(insn)
        order.follow(insn)
    assert len(orders) > 5
    for (n, copied), (state, streams) in zip(orders, states):
        assert (copied.state(), list(copied.weights.waiting)) == (state, streams)
        for insn in executed[n:]:
            copied.weights.follow(insn)
            copied.follow(insn)
        copied.finish()
        assert copied.state() == order.state()
