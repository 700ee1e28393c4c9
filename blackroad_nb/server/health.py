"""What works and what does not, in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blackroad_nb import __version__
from blackroad_nb.errors import StoreError

if TYPE_CHECKING:
    from blackroad_nb.server.wiring import Parts


async def health_record(parts: Parts) -> dict[str, Any]:
    """Look at each part and say what is wrong and what to do; never raises StoreError."""
    store: dict[str, Any] = {"status": "ok", "path": str(parts.settings.database)}
    problems = [f"{what}: {reason}" for what, reason in parts.faults.items()]
    try:
        await parts.store.check()
    except StoreError as error:
        store.update(status="broken", code=error.code, message=error.message)
        problems.append(error.message)
    if parts.store.notice:
        store.update(status="replaced", message=parts.store.notice)
        problems.append(parts.store.notice)
    if parts.workspace.message:
        problems.append(parts.workspace.message)
    recorder = parts.recorder_health()
    if recorder["state"] not in ("ok", "off"):
        problems.append(f"Recording is {recorder['state']}: {recorder['reason']}")
    if recorder.get("lost"):
        problems.append(f"{recorder['lost']} executions could not be recorded; the log says why.")
    broken = store["status"] == "broken" or recorder["state"] == "broken" or parts.faults
    return {
        "status": "broken" if broken else "degraded" if problems else "ok",
        "version": __version__,
        "problems": list(dict.fromkeys(problems)),
        "store": store,
        "recorder": recorder,
        "runs": {"active": parts.active_runs},
        "kernels": {"warm": parts.warm_kernels},
    }
