"""The simulated FPGA: the whole accelerator on Verilator, with a DRAM timing model."""
