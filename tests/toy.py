"""A small random model of the Llama family, with every kind of thing that a large one has."""

from sim.models.toy import prune, round_rows, toy_model


__all__ = ["prune", "round_rows", "toy_model"]
