"""What a change must pass besides the tests: `python -m tests.checks`."""

from __future__ import annotations

import subprocess
import sys

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)


def main() -> int:
    """Run every check, all of them even where one fails. Returns how many failed."""
    failed = 0
    for words in CHECKS:
        print(f"+ {' '.join(words)}", flush=True)
        failed += subprocess.run([sys.executable, "-m", *words], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
