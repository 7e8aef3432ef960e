"""A process that may open few files more examines stores and deletes run-1 from them; prints what came of each."""

from __future__ import annotations

import json
import os
import resource
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

from tttlab.errors import StoreError
from tttlab.store.deletion import delete
from tttlab.store.doctor import examine

LIMIT = 200


@contextmanager
def few_files(left):
    """While it lasts, so many can be opened and no more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, before[1]))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    for _ in range(left):
        os.close(held.pop())
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for each in held:
            os.close(each)


def main(*folders):
    """With a store each, the n-th of them with n files to open."""
    warnings.simplefilter("ignore")
    examine(Path(folders[0]), mend=False)  # So that everything is imported.
    for left, folder in enumerate(folders):
        with few_files(left):
            found = [finding.what for finding in examine(Path(folder)) if finding.grade == "trouble"]
            try:
                deleted = delete(Path(folder), ["run-1"]).tokens
            except StoreError as error:
                deleted = str(error)
        print(json.dumps([found, deleted]))


if __name__ == "__main__":
    main(*sys.argv[1:])
