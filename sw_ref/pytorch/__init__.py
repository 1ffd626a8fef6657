"""The machine's arithmetic and models in PyTorch, written independently of the definition."""
