"""LiteDRAM's generator as a program, for chips that are refreshed when they want to be, and as fast as they can.

Its own entries for DDR3 chips have tRFC in clocks of their fastest grade, 208 for the MT41K256M16. At 160 MHz
that is 1300 ns instead of 260, and every sixth cycle is lost to refreshes. The key `rfc_ns` of the YAML file
says it in nanoseconds.

It rounds the time between refreshes up to whole cycles, 7840 ns for 7812.5 at 25 MHz: 8192 refreshes take
longer than the 64 ms that they may. Here it is rounded down.
"""

import sys

import yaml
from litedram import gen, modules


def main():
    settings = yaml.safe_load(open(sys.argv[1]))
    chip, period = getattr(modules, settings["sdram_module"]), 1e9 / float(settings["sys_clk_freq"])
    # Half a cycle less, so that it is rounded up to what it should be.
    chip.technology_timings.tREFI = (int(chip.technology_timings.tREFI / period + 1e-9) - 0.5) * period
    if "rfc_ns" in settings:
        for timings in chip.speedgrade_timings.values():
            timings.tRFC = None, settings["rfc_ns"]
    gen.main()


if __name__ == "__main__":
    main()
