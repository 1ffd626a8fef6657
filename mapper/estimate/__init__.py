"""Cycles of a step, without running it."""
