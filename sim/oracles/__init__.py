"""Oracles: expected results that three independent computations agree on."""
