"""Random models: drawn, compiled, run on the simulated FPGA and on the functional machine, and
compared.
"""
