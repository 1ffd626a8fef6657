"""One module per unit: its cases, and cocotb tests. See :mod:`sim.harness.runner`."""
