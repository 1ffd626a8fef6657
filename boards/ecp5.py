"""Clocks of Lattice ECP5."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Pll"]


OSCILLATOR_MHZ = 400.0, 800.0
COMPARED_MHZ = 8.0  # at least, of the input behind its divisor
MAX_DIVISOR = 128


class Pll(wiring.Component):
    """Make a clock from another, and a second one behind it.

    The ECP5's EHXPLLL (Lattice FPGA-TN-02200), its oscillator running at the highest frequency of
    which the clock is a whole part.

    Parameters
    ----------
    input_mhz, output_mhz : :class:`float`
        Frequencies.
    phase : :class:`float`
        Degrees that the second clock is behind the first.

    Members
    -------
    clk_in : :py:`In(1)`
        The other clock.
    clk, late : :py:`Out(1)`
        The two that are made.
    locked : :py:`Out(1)`
        They are right.
    """

    def __init__(self, input_mhz, output_mhz, phase=0.0):
        self._input, self._feedback, self._output = divisors(input_mhz, output_mhz)
        # In eighths of the oscillator's periods.
        self._eighths = round(8 * self._output * phase / 360)
        if not 0 <= phase < 360:
            raise ValueError(f"Phase must be from 0 to 360 degrees, not {phase!r}")
        self.input_mhz, self.output_mhz = input_mhz, output_mhz
        super().__init__({"clk_in": In(1), "clk": Out(1), "late": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        m = Module()

        late = self._output - 1 + self._eighths // 8
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.input_mhz:.6f}",
            a_FREQUENCY_PIN_CLKOP=f"{self.output_mhz:.6f}",
            a_FREQUENCY_PIN_CLKOS=f"{self.output_mhz:.6f}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            # A third output is only compared with the input: no other has to be a multiple of it.
            p_FEEDBK_PATH="INT_OS2",
            p_CLKI_DIV=self._input,
            p_CLKFB_DIV=1,
            p_CLKOS2_ENABLE="ENABLED",
            p_CLKOS2_DIV=self._feedback,
            p_CLKOS2_CPHASE=self._feedback - 1,
            p_CLKOS2_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=self._output,
            p_CLKOP_CPHASE=self._output - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=self._output,
            p_CLKOS_CPHASE=late,
            p_CLKOS_FPHASE=self._eighths % 8,
            i_CLKI=self.clk_in,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=0,
            i_PHASESTEP=0,
            i_PHASELOADREG=0,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            i_ENCLKOS=0,
            o_CLKOP=self.clk,
            o_CLKOS=self.late,
            o_LOCK=self.locked,
        )

        return m


def divisors(input_mhz, output_mhz):
    """Divisors of the input, of the oscillator for comparison with it, and of the oscillator for
    the output.
    """
    low, high = OSCILLATOR_MHZ
    for before in range(1, int(input_mhz / COMPARED_MHZ) + 1):
        for feedback in reversed(range(1, MAX_DIVISOR + 1)):
            oscillator = input_mhz / before * feedback
            output = oscillator / output_mhz
            if (
                low <= oscillator <= high
                and 1 <= round(output) <= MAX_DIVISOR
                and abs(output - round(output)) < 1e-6
            ):
                return before, feedback, round(output)
    raise ValueError(
        f"Clock must be one that can be made of {input_mhz!r} MHz, not {output_mhz!r} MHz"
    )
