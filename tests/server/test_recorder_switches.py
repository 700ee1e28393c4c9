"""The switches of the recorder's latency fixes, on a real server with a real kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cells import open_browser

OUTPUTS = 30


@pytest.fixture(params=[True, False])
def app_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"sparing_activity": request.param}


async def test_plain_output_is_noted_as_activity_as_configured(
    app: Any, app_config: dict[str, Any], jp_serverapp: Any, jp_ws_fetch: Callable[..., Any]
) -> None:
    manager = jp_serverapp.kernel_manager
    kernel_id = await manager.start_kernel(kernel_name="python3")
    tab = await open_browser(jp_ws_fetch, kernel_id)
    await tab.run("pass")
    notes: list[Any] = []
    manager.observe(notes.append, "last_kernel_activity")
    loop = f"for i in range({OUTPUTS}): print(i, flush=True); time.sleep(0.02)"
    msg_id = await tab.run(f"import sys, time\n{loop}")
    await tab.close()
    messages = len(tab.said(msg_id, "stream"))
    assert messages > OUTPUTS / 2
    if app_config["sparing_activity"]:
        assert len(notes) < messages / 2
    else:
        assert len(notes) >= messages
