import pytest

from host.errors import UserError
from host.language.generate import Session

from ..fake import FakeDevice, answer


def session(columns=4, context=64, **kwargs):
    return Session(FakeDevice(), context=context, columns=columns, vocab=288, **kwargs)


def expected(ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(answer(ids))
    return ids[-count:]


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 17])
def test_prompt_goes_in_batches(columns, length):
    s, prompt = session(columns), list(range(5, 5 + length))
    tokens = list(s.generate(prompt, 5))
    assert [t.id for t in tokens] == expected(prompt, 5)
    assert [t.position for t in tokens] == list(range(length, length + 5))
    batches = -(-length // columns)
    assert [len(ids) for ids, _, _ in s.device.calls] == [
        min(columns, length - n * columns) for n in range(batches)
    ] + [1] * 4
    assert [head for _, _, head in s.device.calls] == [False] * (batches - 1) + [True] * 5
    assert [t.cycles for t in tokens] == [1000 * batches] + [1000] * 4
    assert [t.fed for t in tokens] == [length, 1, 1, 1, 1]
    assert len(tokens[0].top_ids) == len(tokens[0].top_logits) == 64 and s.stopped == "tokens"


def test_stops_at_eos():
    third = expected([7, 8], 3)[2]
    s = session(eos=[third])
    assert [t.id for t in s.generate([7, 8], 10)] == expected([7, 8], 3)
    assert s.stopped == "eos"


def test_stops_at_context():
    s = session(context=6)
    tokens = list(s.generate([7, 8, 9], 10))
    assert len(tokens) == 4 and s.stopped == "context"
    assert max(p for _, p, _ in s.device.calls) == 5


def test_full_context_still_gives_one():
    assert len(list(session(context=3).generate([7, 8, 9], 10))) == 1


def test_no_tokens():
    s = session()
    assert list(s.generate([1], 0)) == [] and s.device.calls == []


def test_history_stays_in_the_cache():
    s = session(columns=1)
    answer1 = [t.id for t in s.generate([1, 2, 3], 3)]
    s.device.calls.clear()
    more = [1, 2, 3, *answer1, 9]
    tokens = list(s.generate(more, 2))
    assert [t.id for t in tokens] == expected(more, 2)
    assert [ids for ids, _, _ in s.device.calls] == [[answer1[2]], [9], [tokens[0].id]]


def test_changed_history_is_fed_again_from_the_change():
    s = session(columns=1)
    list(s.generate([1, 2, 3, 4], 1))
    s.device.calls.clear()
    assert [t.id for t in s.generate([1, 2, 5, 4], 1)] == expected([1, 2, 5, 4], 1)
    assert [p for _, p, _ in s.device.calls] == [2, 3]
    s.device.calls.clear()
    assert [t.id for t in s.generate([1, 2], 1)] == expected([1, 2], 1)
    assert [p for _, p, _ in s.device.calls] == [1]


def test_interrupted_step_is_fed_again():
    s = session(columns=1)
    step = s.device.step

    def interrupted(tokens, position, head):
        if position == 2:
            raise KeyboardInterrupt
        return step(tokens, position, head)

    s.device.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(s.generate([1, 2, 3, 4], 1))
    s.device.step = step
    assert [t.id for t in s.generate([1, 2, 3, 4], 1)] == expected([1, 2, 3, 4], 1)


def test_no_cycle_counter():
    s = Session(FakeDevice(cycles=None), context=64, columns=1, vocab=288)
    assert [t.cycles for t in s.generate([1, 2], 2)] == [None, None]


def test_progress():
    seen = []
    list(session(columns=2).generate([1, 2, 3], 1, progress=lambda *a: seen.append(a)))
    assert seen == [(0, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "ids, message",
    [
        ([], "prompt: it must have at least one token, it is empty"),
        (
            [1] * 65,
            "prompt: its 65 tokens must fit in the context of 64 positions; shorten it, or "
            "compile with a larger --context",
        ),
        ([1, 288], "prompt: tokens must be below 288, not 288"),
    ],
)
def test_refused(ids, message):
    with pytest.raises(UserError) as info:
        list(session().generate(ids, 1))
    assert str(info.value) == message
