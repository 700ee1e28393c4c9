"""`python -m blackroad_nb` is `blackroad-nb`, for where scripts are not on the path."""

from __future__ import annotations

import sys

from blackroad_nb.cli import main

if __name__ == "__main__":
    sys.exit(main())
