"""Mutation: bugs put into netlists at random, and whether the benches kill them."""
