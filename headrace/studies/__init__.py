"""Studies: what parts and whole machines take of FPGAs, and how fast they are."""
