"""``python -m miniasgi``: the command line under the name it was called by. Knows only cli."""

import sys

from miniasgi.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m miniasgi"))
