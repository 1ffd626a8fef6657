"""Declarations: what hardware, compiler, reference and host agree on. They import nothing but each
other.
"""
