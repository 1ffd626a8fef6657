"""Passive checkers: they look at every stream and AXI port of a design while it is simulated."""
