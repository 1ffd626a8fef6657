"""Write model files."""
