"""Random legal programs: made, run on the accelerator and on the functional machine, and
compared.
"""
