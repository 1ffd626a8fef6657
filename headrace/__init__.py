"""The roof: what users import and type."""
