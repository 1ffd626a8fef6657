"""Commands of `headrace`, one per file: `register(subparsers)` declares it, `run(args)` does it.

This is the program's outermost layer and the only part of `host` that may import the mapper, the
reference models and the hardware; it does so inside functions, so that a command needs only what
it uses.
"""
