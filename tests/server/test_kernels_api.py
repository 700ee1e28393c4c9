"""Kernels over REST: listed, registered after a check, checked again, taken away."""

from __future__ import annotations

import sys
from typing import Any

from rest_client import Api

MINE: dict[str, Any] = {
    "name": "mine",
    "language": "python",
    "display_name": "My Python",
    "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    "env": {"MINE": "1"},
}


async def test_a_kernel_is_registered_used_and_taken_away(api: Api, jp_fetch: Any) -> None:
    made = await api("POST", "kernels", MINE)
    assert made.status == 201, made.body
    assert made.json["registered"] is True
    listed = {item["name"]: item for item in (await api("GET", "kernels")).json["items"]}
    assert listed["mine"]["display_name"] == "My Python"
    assert listed["python3"]["registered"] is False
    assert b'"mine"' in (await jp_fetch("api", "kernelspecs")).body  # JupyterLab's launcher

    again = await api("POST", "kernels", MINE)
    assert (again.status, again.json["code"]) == (409, "kernel_exists")
    checked = await api("POST", "kernels/mine/check", {})
    assert (checked.status, checked.json["status"]) == (200, "success")

    assert (await api("DELETE", "kernels/mine")).status == 204
    gone = await api("DELETE", "kernels/mine")
    assert (gone.status, gone.json["code"]) == (404, "kernel_not_found")


async def test_a_kernel_that_does_not_start_leaves_nothing(api: Api) -> None:
    broken = {**MINE, "argv": [sys.executable, "-c", "1/0", "{connection_file}"]}
    reply = await api("POST", "kernels", broken)
    assert (reply.status, reply.json["code"]) == (502, "kernel_start_failed"), reply.body
    assert "mine" not in {item["name"] for item in (await api("GET", "kernels")).json["items"]}


async def test_what_others_installed_is_not_taken_away(api: Api) -> None:
    reply = await api("DELETE", "kernels/python3")
    assert reply.status == 409, reply.body


async def test_a_kernel_without_a_connection_file_gets_it(api: Api) -> None:
    reply = await api("POST", "kernels", {**MINE, "argv": MINE["argv"][:3]})
    assert (reply.status, reply.json["argv"]) == (201, MINE["argv"])
    assert (await api("DELETE", "kernels/mine")).status == 204
