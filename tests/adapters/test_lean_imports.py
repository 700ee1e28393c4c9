"""What is not imported by our own processes."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys
from blackroad_nb.adapters.lean_imports import skip_unused_imports
skip_unused_imports()
import jsonschema
checker = jsonschema.FormatChecker()
jsonschema.validate({"a": 1}, {"type": "object", "required": ["a"]}, format_checker=checker)
assert sys.modules["rfc3987_syntax"] is None
"""


def test_jsonschema_works_without_the_slow_grammar() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", LOOK], check=True)


def test_what_was_imported_already_stays() -> None:
    code = (
        "import sys\nsys.modules['rfc3987_syntax'] = sys\n"
        "from blackroad_nb.adapters.lean_imports import skip_unused_imports\n"
        "skip_unused_imports()\nassert sys.modules['rfc3987_syntax'] is sys"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_garbage_is_collected_again() -> None:
    code = (
        "import gc\n"
        "from blackroad_nb.adapters.lean_imports import pause_collecting, resume_collecting\n"
        "pause_collecting()\nassert not gc.isenabled()\nimport asyncio\n"
        "resume_collecting()\nassert gc.isenabled()\nassert gc.get_freeze_count() > 1000"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
