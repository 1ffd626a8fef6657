"""Training of the small models in `mapper/models`: ``python -m sw_ref.training --help``,
docs/training.md.

Needs torch; nothing that runs a model imports this.
"""
