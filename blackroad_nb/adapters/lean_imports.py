"""How this program's own processes import less, and faster.

For processes that are ours from start to end; never for a server or a program that
others share: they may use what is left out here.
"""

from __future__ import annotations

import gc
import sys

# jsonschema imports these to check formats such as `iri`, `color` and `duration`, which
# the schema of notebooks does not ask for; it does without where they are not installed.
# The first one compiles a grammar at import: 0.8 s. The others take 0.05 s together.
_UNUSED = (
    "rfc3987_syntax",
    "rfc3986_validator",
    "isoduration",
    "uri_template",
    "webcolors",
    "fqdn",
)


def skip_unused_imports() -> None:
    """Make importing the unused modules fail from now on, as if they were not installed."""
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def pause_collecting() -> None:
    """Do not look for garbage while modules are imported.

    Importing makes hundreds of thousands of objects and no garbage; looking for it takes
    a fifth of the time. `resume_collecting` brings the search back.
    """
    gc.disable()


def resume_collecting() -> None:
    """Collect garbage again, but never look at what has been imported: it stays."""
    gc.freeze()
    gc.enable()
