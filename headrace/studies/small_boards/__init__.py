"""FPGAs that are too small for the accelerator, or almost: what it takes of them, part by part."""
