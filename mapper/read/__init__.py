"""Readers of model files: `*_model` makes a :class:`~mapper.model.Model` of what a `*_container` or a
folder holds, which it finds whole or refuses; `find` says which reader a file is for."""
