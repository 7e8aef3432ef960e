"""Experiments: tasks with references, and estimators of what extra compute buys."""
