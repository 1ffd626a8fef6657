"""Signed integers with a deferred carry."""

from dataclasses import dataclass

from amaranth import *


__all__ = ["Carried"]


@dataclass(frozen=True)
class Carried:
    """A signed integer in two parts: it is `value` + `carry`.

    To negate in two's complement is to invert and to add one. An adder has a carry input, which
    takes the one of an operand; the other operand's is left to the next. So the sum of n numbers,
    negated or not, costs n - 1 adders.

    Parameters
    ----------
    value : signed :class:`Value`
        From -`bound` to `bound` - 1.
    carry : :class:`Value`
        One bit.
    bound : :class:`int`
        The integer lies from -`bound` to `bound`.
    """

    value: Value
    carry: Value
    bound: int

    def __add__(self, other):
        """Add; one adder."""
        bound = self.bound + other.bound
        # The carry goes in below the lowest bit.
        total = Cat(1, self.value).as_signed() + Cat(other.carry, other.value).as_signed()
        return Carried(total[1 : _width(bound) + 1].as_signed(), self.carry, bound)

    def __lshift__(self, places):
        """Multiply by a power of two; no hardware."""
        value = Cat(self.carry.replicate(places), self.value).as_signed()
        return Carried(value, self.carry, self.bound << places)

    def where(self, condition, other):
        """This, or `other` where `condition` is not met. Both must have the same carry."""
        return Carried(
            Mux(condition, self.value, other.value), self.carry, max(self.bound, other.bound)
        )

    def masked(self, condition):
        """This where `condition` is met, otherwise zero."""
        return Carried(Mux(condition, self.value, 0), self.carry & condition, self.bound)

    def within(self, bound):
        """This, when it is known to be no larger than `bound`."""
        return Carried(self.value[: _width(bound)].as_signed(), self.carry, bound)

    @property
    def total(self):
        """Value of the integer, of which nothing is due; one adder."""
        return (self.value + self.carry)[: self.bound.bit_length() + 1].as_signed()

    def registered(self, m, name):
        """This, a cycle later."""
        value = Signal(signed(_width(self.bound)), name=f"{name}_value", reset_less=True)
        carry = Signal(name=f"{name}_carry", reset_less=True)
        m.d.sync += [value.eq(self.value), carry.eq(self.carry)]
        return Carried(value, carry, self.bound)


def _width(bound):
    return (bound - 1).bit_length() + 1
