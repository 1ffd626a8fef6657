"""Hardware that is measured, but not built into the accelerator."""
