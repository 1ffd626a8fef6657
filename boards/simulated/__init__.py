"""The simulated board: what a bitstream is made of, with models of all that is around it."""
