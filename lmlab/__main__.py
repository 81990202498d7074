"""`python -m lmlab` is `lmlab`; `torchrun … -m lmlab train recipe.toml` starts here too."""

from __future__ import annotations

import sys

from lmlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
