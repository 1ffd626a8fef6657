"""What the vector unit's interlock holds up."""

from mapper.estimate.vector import holds
from rtl.spec.isa import Dest, Func, Quant, Vector


LANES, LATENCY = 8, 12


def vector(d, a, *, inner=256, func=Func.MADD, **more):
    return Vector(func=func, outer=1, inner=inner, d=d, a=a, b_const=1, c_const=1, **more)


def test_same_order():
    """Each line is needed as late as it was made: the first step waits for the first result."""
    hold = holds(vector(0, 1024), vector(2048, 0), LANES, LATENCY)
    assert hold.first == LATENCY - 31
    assert hold.last == LATENCY


def test_apart():
    hold = holds(vector(0, 1024), vector(2048, 4096), LANES, LATENCY)
    assert hold.first < -1000 and hold.last < -1000


def test_last_line_first():
    """A line that fills a whole operand is waited for once."""
    hold = holds(vector(0, 1024), vector(2048, 248, a_fill=1), LANES, LATENCY)
    assert hold.first == LATENCY
    assert hold.last == LATENCY + 31


def test_quant():
    quant = Quant(dest=Dest.ACT, outer=1, inner=256, a=0)
    assert holds(vector(0, 1024), quant, LANES, LATENCY).first == LATENCY - 31


def test_dot_is_complete():
    """A dot product is written before the next instruction is taken."""
    assert holds(vector(0, 1024, func=Func.DOT), vector(2048, 0), LANES, LATENCY) is None
