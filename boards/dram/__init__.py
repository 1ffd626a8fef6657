"""Boards' memories: what they are, their controllers, and how a host brings them up."""
