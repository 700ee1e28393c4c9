"""How a run that has ended is told: JSON, one line, and the exit code."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from blackroad_nb.cli.failures import Failed
from blackroad_nb.cli.printing import print_json
from blackroad_nb.errors import KernelFailed, error_class


def signal_exit(received: int) -> int:
    """Return what a shell reports for a process that this signal ended."""
    return 128 + received


def tell(
    run: Mapping[str, Any],
    as_json: bool,
    received: int | None = None,
    fault: OSError | None = None,
) -> int:
    """Print the run if JSON was asked for; return 0 if all went well.

    Args:
        run: the run's record, as `run_record` makes it.
        received: the signal that cancelled it, if one did.
        fault: why stdout could not take its progress, if it could not.

    Raises:
        Failed: the run did not succeed, or is not whole in the history.
        OSError: it did, but the fault of stdout is to be told.
    """
    if as_json:
        print_json(run)
    status = run["status"]
    if received is not None:
        name = signal.Signals(received).name
        raise Failed(
            f"{name}: the run was cancelled; what was done is kept.", signal_exit(received)
        )
    code = run.get("code")  # of the error that no cell is to blame for
    if status == "success" and code is None:
        if fault is not None:
            raise fault
        return 0
    if status == "killed":
        raise Failed(_reason(run), KernelFailed.exit_code)
    raise Failed(_reason(run), error_class(code).exit_code)


def _reason(run: Mapping[str, Any]) -> str:
    notes = run.get("message") or ""
    if run["status"] == "success":
        return f"every cell succeeded, but the history is not complete. {notes}"
    failed = [cell for cell in run["cells"] if cell["status"] in ("error", "timeout", "killed")]
    if not failed:
        return notes or f"the run ended as {run['status']}."
    first, more = failed[0], len(failed) - 1
    error = (first.get("error") or first["status"]).strip().split("\n", 1)[0]
    others = f" ({more} more failed)" if more else ""
    if first["status"] == "timeout":
        error = f"{error.rstrip('.')}; --timeout SECONDS sets another limit."
    told = f"cell {first['index']} [{first['status']}]: {error}{others}"
    return f"{told.rstrip('.')}. {notes}" if notes else told
