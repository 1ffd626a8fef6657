"""Readers of model files.

`*_model` makes a :class:`~mapper.model.Model` of what a `*_container` or a folder holds, all of it
checked; `find` says which reader a file is for, and `native` writes what `hf_model` reads.
"""
