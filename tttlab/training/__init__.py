"""Recipes that make the package's own small models. They need the extra `train` (PyTorch), and nothing else does."""
