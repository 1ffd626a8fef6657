# amaranth: UnusedElaboratable=no

import pytest
from amaranth.back import rtlil

from rtl.linear.expand import Expander
from rtl.spec.config import Config, get
from rtl.spec.isa import WeightFormat


U4, S8 = WeightFormat.U4, WeightFormat.S8


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        Expander("small", {U4, S8})


def test_native_too_few():
    with pytest.raises(
        ValueError,
        match=r"^Formats that the core does not take must be of TERNARY, "
        r"SPARSE4, SPARSE8, not U1, U2, U3$",
    ):
        Expander(get("small-lut"), {U4, S8})


@pytest.mark.parametrize("native, latency", [({U4, S8}, 3), (set(WeightFormat), 0)])
def test_latency(native, latency):
    assert Expander(get("small"), native).latency == latency


def test_code_books_of_bytes_come_as_steps_of_s8():
    of = Config(name="iq4", beat_bits=128, columns=1, lanes=2, formats=("S8", "IQ4"))
    assert Expander(of, of.native).latency == 0


def test_nothing_to_expand():
    """Wires: not a cell."""
    text = rtlil.convert(Expander(get("small"), set(WeightFormat)), emit_src=False)
    assert "connect \\o__payload \\i__payload" in text and "cell " not in text
