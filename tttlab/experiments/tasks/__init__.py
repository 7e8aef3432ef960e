"""Tasks: sets of problems with references, one task a file."""
