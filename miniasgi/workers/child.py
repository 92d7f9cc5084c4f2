"""A worker process, from its first line on. The supervisor runs this file as a script: python -P child.py DESCRIPTOR.

It must not depend on where Python would find a package called miniasgi: it uses the one that it lies in, which is the
supervisor's. Of the package, nothing is imported before that is settled.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def use_own_package() -> None:
    """Make the package around this file the one that ``import miniasgi`` gives."""
    directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = importlib.util.spec_from_file_location(
        "miniasgi", os.path.join(directory, "__init__.py"), submodule_search_locations=[directory]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["miniasgi"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    use_own_package()

    from miniasgi.workers.process_main import main

    main(int(sys.argv[1]))
