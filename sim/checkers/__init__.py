"""Passive checkers of every stream and AXI port of a design in simulation."""
