"""Delay lines."""

from amaranth import *


__all__ = ["delayed"]


def delayed(m, value, cycles, *, en=1, reset_less=False):
    """Value of `value`, `cycles` cycles (in which `en` is high) ago.

    Flags that start something are reset; what only accompanies them may be `reset_less`.
    """
    for _ in range(cycles):
        stage = Signal.like(value, name="stage", reset_less=reset_less)
        with m.If(en):
            m.d.sync += stage.eq(value)
        value = stage
    return value
