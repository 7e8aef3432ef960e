"""The commands of OTLP as a program: `python -m tests.store.otlp_command collect --port 0`."""

import argparse
import signal
import sys

from tttlab.errors import TttlabError
from tttlab.otlp_commands import add_otlp_commands


def main(words=None):
    parser = argparse.ArgumentParser()
    add_otlp_commands(parser.add_subparsers(required=True))
    options = parser.parse_args(words)
    try:
        return options.run(options)
    except TttlabError as error:
        print(f"tttlab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ignored where the tests run in the background.
    sys.exit(main())
