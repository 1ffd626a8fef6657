"""Export for vendor tools: Verilog, scripts and drivers, for boards without an open flow."""
