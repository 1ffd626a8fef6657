"""Mutation testing: random bugs in netlists, which benches must kill."""
