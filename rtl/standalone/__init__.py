"""A linear core by itself, with its manual and a testbench."""
