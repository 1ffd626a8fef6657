"""Documents that are generated from declarations."""
