"""Verifiers: one check, one file. Each is a frozen dataclass of its parameters with one coroutine.

A verifier sees the problem's reference; a strategy does not. A plain function of `(problem, candidate, think)` that
returns a `Verdict` is a verifier too, with or without `async`.
"""
