"""What this program's own processes do not import, because it takes long and is not used."""

from __future__ import annotations

import sys

# jsonschema imports this to check the formats `iri` and `uri`, which neither notebook
# files nor Jupyter's own schemas ask for. It compiles a grammar at import: 0.8 s.
# jsonschema does without where it is not installed.
_UNUSED = ("rfc3987_syntax",)


def skip_unused_imports() -> None:
    """Make importing the unused modules fail from now on, as if they were not installed.

    For processes that are ours from start to end; never for a server or a program that
    others share, whose schemas may use what is left out here.
    """
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
