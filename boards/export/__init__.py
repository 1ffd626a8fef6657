"""What vendor tools need of the accelerator: Verilog, scripts, and drivers for boards without an open flow."""
