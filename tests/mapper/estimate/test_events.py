"""Processes take their turns in the order of time."""

from mapper.estimate.events import Clock, Signal


def test_order():
    clock, seen = Clock(), []

    def process(name, cycles):
        for wait in cycles:
            yield wait
            seen.append((name, clock.now))

    clock.start(process("a", [3, 4]))
    clock.start(process("b", [1, 0, 2]))
    clock.run()
    assert seen == [("b", 1), ("b", 1), ("a", 3), ("b", 3), ("a", 7)]


def test_signals():
    """A signal wakes those that wait when it fires, and nobody later."""
    clock, fired, seen = Clock(), Signal(), []

    def waits(name):
        yield fired
        seen.append((name, clock.now))

    def fires():
        yield 5
        clock.fire(fired)
        clock.start(waits("late"))

    clock.start(waits("first"))
    clock.start(waits("second"))
    clock.start(fires())
    clock.run()
    assert seen == [("first", 5), ("second", 5)]
    assert len(fired.waiting) == 1
