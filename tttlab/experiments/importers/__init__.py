"""Importers: published logs of other programs, read into the store as runs like any other, marked as imported."""
