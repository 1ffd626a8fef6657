"""Training of the small models in `mapper/models`: ``python -m sw_ref.training --help``,
docs/training.md.

Needs torch, and gguf for models in GGUF's types; nothing that runs a model imports this.
"""
