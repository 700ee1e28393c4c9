"""Kernelspec folders: what is on disk, and that a stock Jupyter Server runs what we wrote."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blackroad_nb.adapters.kernelspecs import JupyterKernelspecs
from blackroad_nb.core.kernel import RegisteredKernel
from blackroad_nb.errors import Conflict, InvalidInput, KernelExists, KernelNotFound

ARGV = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
SPECS = JupyterKernelspecs()


def kernel(name: str = "mine", argv: tuple[str, ...] = ARGV) -> RegisteredKernel:
    return RegisteredKernel("an-id", name, "python", "Mine", argv, datetime.now(UTC))


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's kernels folder, not there yet."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "kernels"


def names() -> set[str]:
    return {spec.name for spec in asyncio.run(SPECS.list())}


def place(kernels: Path, name: str, content: object) -> Path:
    folder = kernels / name
    folder.mkdir(parents=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "kernel.json").write_text(text)
    return folder


def test_the_folder_is_whole_and_nothing_lies_beside_it(kernels: Path) -> None:
    asyncio.run(SPECS.install(kernel(), {"A": "1"}))
    assert [path.name for path in kernels.iterdir()] == ["mine"]
    assert [path.name for path in kernels.parent.iterdir()] == ["kernels"]
    spec = json.loads((kernels / "mine" / "kernel.json").read_text())
    assert spec["metadata"]["blackroad_nb"]["id"] == "an-id"
    assert spec["env"] == {"A": "1"}
    asyncio.run(SPECS.remove("MINE"))
    assert list(kernels.iterdir()) == []
    assert [path.name for path in kernels.parent.iterdir()] == ["kernels"]


@pytest.mark.parametrize("left", ["{", None])
def test_what_is_left_of_a_kernelspec_of_ours_is_removed(left: str | None, kernels: Path) -> None:
    asyncio.run(SPECS.remove_broken("mine"))
    asyncio.run(SPECS.install(kernel(), {}))
    spec = kernels / "mine" / "kernel.json"
    spec.write_text(left) if left else spec.rename(spec.with_name("moved.json"))
    asyncio.run(SPECS.remove_broken("MINE"))
    assert list(kernels.iterdir()) == []


def test_a_kernelspec_of_somebody_else_is_not_taken_for_a_broken_one(kernels: Path) -> None:
    folder = place(kernels, "mine", {"argv": 3})
    asyncio.run(SPECS.remove_broken("mine"))
    assert folder.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nojson", "{"),
        ("list", []),
        ("text", "null"),
        ("argv", {"argv": 3, "display_name": "x", "language": "x"}),
        ("words", {"argv": ["x", 1], "display_name": "x", "language": "x"}),
        ("number", {"argv": [1], "display_name": 2, "language": 3}),
        ("binary", "\0\0"),
        (
            "provisioner",
            {"argv": ["x"], "metadata": {"kernel_provisioner": {"provisioner_name": "gone"}}},
        ),
        ("odd name!", {"argv": ["x"], "display_name": "x", "language": "x"}),
    ],
)
def test_a_broken_kernelspec_does_not_break_the_list(
    name: str, content: object, kernels: Path
) -> None:
    place(kernels, name, content)
    asyncio.run(SPECS.install(kernel(), {}))
    assert names() >= {"mine", "python3"}
    assert name not in names()


def test_folders_without_a_kernelspec_and_unreadable_ones_are_passed_over(kernels: Path) -> None:
    (kernels / "empty").mkdir(parents=True)
    (kernels / "file").write_text("x")
    (kernels / "loop").symlink_to(kernels / "loop")
    assert names() == {"python3"}


def test_the_users_kernelspec_hides_one_further_back(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "site"))
    far = {"argv": ["far"], "display_name": "Far", "language": "x"}
    place(tmp_path / "site" / "kernels", "both", far)
    place(kernels, "BOTH", {**far, "display_name": "Near"})
    (both,) = [spec for spec in asyncio.run(SPECS.list()) if spec.name == "both"]
    from jupyter_client.kernelspec import KernelSpecManager

    assert both.display_name == KernelSpecManager().get_kernel_spec("both").display_name


@pytest.mark.parametrize("taken", ["mine", "MINE", "python3", "Python3"])
def test_a_name_that_jupyter_knows_is_never_taken(taken: str, kernels: Path) -> None:
    asyncio.run(SPECS.install(kernel(), {}))
    before = (kernels / "mine" / "kernel.json").read_bytes()
    with pytest.raises(KernelExists):
        asyncio.run(SPECS.install(kernel(taken), {}))
    assert (kernels / "mine" / "kernel.json").read_bytes() == before


def test_a_broken_folder_of_somebody_else_is_not_replaced(kernels: Path) -> None:
    (kernels / "mine").mkdir(parents=True)
    (kernels / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(KernelExists):
        asyncio.run(SPECS.install(kernel(), {}))
    assert (kernels / "mine" / "notes.txt").read_text() == "keep"


def test_somebody_elses_kernelspec_is_not_removed(kernels: Path) -> None:
    folder = place(kernels, "theirs", {"argv": ["x"], "display_name": "x", "language": "x"})
    for name in ("theirs", "python3"):
        with pytest.raises(Conflict, match="jupyter kernelspec remove"):
            asyncio.run(SPECS.remove(name))
    with pytest.raises(KernelNotFound):
        asyncio.run(SPECS.remove("none"))
    assert folder.exists()


def test_removing_a_linked_kernelspec_leaves_what_it_links_to(
    kernels: Path, tmp_path: Path
) -> None:
    asyncio.run(SPECS.install(kernel(), {}))
    elsewhere = tmp_path / "elsewhere"
    os.rename(kernels / "mine", elsewhere)
    (kernels / "mine").symlink_to(elsewhere)
    asyncio.run(SPECS.remove("mine"))
    assert not (kernels / "mine").exists()
    assert (elsewhere / "kernel.json").exists()


def test_a_program_on_the_kernels_own_path_is_found(kernels: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "my-kernel"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    argv = ("my-kernel", "{connection_file}")
    with pytest.raises(InvalidInput, match="is not on the PATH"):
        asyncio.run(SPECS.install(kernel(argv=argv), {"PATH": str(program.parent)}))
    program.chmod(0o755)
    asyncio.run(SPECS.install(kernel(argv=argv), {"PATH": str(program.parent)}))
    assert "mine" in names()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_as_such(kernels: Path) -> None:
    kernels.mkdir(parents=True)
    kernels.chmod(0o500)
    with pytest.raises(InvalidInput, match="cannot be written"):
        asyncio.run(SPECS.install(kernel(), {}))


def test_a_data_folder_that_is_a_file_is_said_as_such(kernels: Path) -> None:
    kernels.parent.write_text("not a folder")
    with pytest.raises(InvalidInput, match="cannot be written"):
        asyncio.run(SPECS.install(kernel(), {}))


async def test_a_stock_jupyter_server_lists_and_runs_it(
    jp_serverapp: Any, jp_fetch: Callable[..., Awaitable[Any]], jp_ws_fetch: Callable[..., Any]
) -> None:
    """What JupyterLab does: /api/kernelspecs, /api/kernels, and a cell over the websocket."""
    await SPECS.install(kernel("for-lab"), {"FROM_SPEC": "a b"})
    try:
        listed = json.loads((await jp_fetch("api", "kernelspecs")).body)
        assert listed["kernelspecs"]["for-lab"]["spec"]["display_name"] == "Mine"
        started = json.loads(
            (await jp_fetch("api", "kernels", method="POST", body='{"name": "for-lab"}')).body
        )
        socket = await jp_ws_fetch("api", "kernels", started["id"], "channels")
        try:
            code = "import os; print(os.environ['FROM_SPEC'])"
            assert await _run(socket, code) == "a b\n"
        finally:
            socket.close()
            await jp_fetch("api", "kernels", started["id"], method="DELETE")
    finally:
        await SPECS.remove("for-lab")


async def _run(socket: Any, code: str) -> str:
    header = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "u"}
    content = {"code": code, "silent": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    await socket.write_message(json.dumps({**message, "channel": "shell", "buffers": []}))
    text = ""
    async with asyncio.timeout(30):
        while True:
            answer = json.loads(await socket.read_message())
            if answer["parent_header"].get("msg_id") != "1":
                continue
            if answer["msg_type"] == "stream":
                text += answer["content"]["text"]
            if answer["content"].get("execution_state") == "idle":
                return text
