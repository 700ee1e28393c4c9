"""What a session can do, found out by code that runs inside its container."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from docker_engine import new_name
from docker_hub import DockerHub, docker_hub
from hub_process import TOKEN, until

from blackroad_nb.adapters.docker_engine import DockerEngine
from blackroad_nb.core.container import Container

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MEMORY = 512 * 2**20
PROFILES = """
profiles:
  - name: small
    title: Small
    cpus: 0.75
    memory: 512 MB
    pids: 150
    environment: {OMP_NUM_THREADS: 1}
"""
SECRETS = {
    "STRIPE_SECRET_KEY": "sk_live_only_for_the_hub",
    "STRIPE_WEBHOOK_SECRET": "whsec_only_for_the_hub",
    "NOTEBOOK_DB": "/the/hubs/own.db",
    "CONFIGPROXY_AUTH_TOKEN": "only-for-hub-and-proxy",
}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, engine: DockerEngine, notebook_image: str
) -> Iterator[tuple[DockerHub, Container]]:
    """Yield a hub with one session of ada."""
    folder = tmp_path_factory.mktemp("hub")
    for name in ("wrds", "wrds/inner", "app"):
        (folder / name).mkdir()
    inner = os.fspath(folder / "wrds" / "inner")
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", inner]
    )
    (folder / "wrds" / "prices.csv").write_text("permno,price\n1,2\n")
    (folder / "app" / "house.py").write_text("RULE = 'ours'\n")
    network = new_name()
    mounts = (
        {"source": str(folder / "wrds"), "target": "/data/wrds", "read_only": False},
        {"source": str(folder / "app"), "target": "/app"},
    )
    try:
        with docker_hub(
            folder,
            engine,
            notebook_image,
            network=network,
            mounts=mounts,
            profiles=PROFILES,
            environment=SECRETS,
            users={"ada": ("researchers",), "eve": ("researchers",)},
        ) as hub:
            yield hub, hub.launch("ada")
    finally:
        engine.remove_network(network)
        if mounted:
            subprocess.run(["umount", inner], check=True)


def test_limits(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    code = """
import json, os
def read(*paths):
    for path in paths:
        if os.path.exists("/sys/fs/cgroup/" + path):
            return open("/sys/fs/cgroup/" + path).read().split()
    return None
print(json.dumps({
    "memory": read("memory/memory.limit_in_bytes", "memory.max"),
    "both": read("memory/memory.memsw.limit_in_bytes"),
    "swap": read("memory.swap.max"),
    "pids": read("pids/pids.max", "pids.max"),
    "cpu": read("cpu.max") or [read("cpu/cpu.cfs_quota_us")[0], read("cpu/cpu.cfs_period_us")[0]],
}))"""
    found = json.loads(hub.inside(session, code))
    assert found["memory"] == [str(MEMORY)]
    assert found["both"] in (None, [str(MEMORY)])  # memory and swap together: no swap
    assert found["swap"] in (None, ["0"])
    assert found["pids"] == ["150"]
    assert int(found["cpu"][0]) / int(found["cpu"][1]) == 0.75


def test_more_processes_than_allowed_are_refused(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    code = """
import subprocess
started = []
try:
    while len(started) < 400:
        started.append(subprocess.Popen(["sleep", "60"]))
except OSError as error:
    print(error.strerror, len(started))
for each in started:
    each.kill()"""
    said, count = hub.inside(session, code).rsplit(maxsplit=1)
    assert said == "Resource temporarily unavailable"
    assert 50 < int(count) < 150
    hub.inside(session, "print('it goes on')")


PROCESS = """
import json
def status(pid):
    lines = open(f"/proc/{pid}/status").read().splitlines()
    return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}
told = status(PID)
print(json.dumps([told["Uid"], told["Gid"], told["NoNewPrivs"], told["Seccomp"], told["CapInh"],
                  told["CapPrm"], told["CapEff"], told["CapBnd"], told["CapAmb"]]))"""
NOTHING = ["0000000000000000"]
UNPRIVILEGED = [["1000"] * 4, ["1000"] * 4, ["1"], ["2"], *([NOTHING] * 5)]


@pytest.mark.parametrize("pid", ["1", "'self'"])
def test_the_user_has_no_privilege(running: tuple[DockerHub, Container], pid: str) -> None:
    hub, session = running
    assert json.loads(hub.inside(session, PROCESS.replace("PID", pid))) == UNPRIVILEGED


def test_a_kernel_has_no_privilege_either(running: tuple[DockerHub, Container]) -> None:
    """The code goes the way a researcher's does: into her server, into her kernel."""
    hub, session = running
    token = hub.hub.token_for("ada")
    url, code = base_url(hub, session), PROCESS.replace("PID", "'self'")
    status, kernel = hub.hub.call("POST", f"{url}api/kernels", token, {})
    assert status == 201, kernel
    channels = f"ws{url.removeprefix('http')}api/kernels/{kernel['id']}/channels"
    output = asyncio.run(run_in_kernel(channels, token, code))
    assert json.loads(output) == UNPRIVILEGED


def test_root_inside_would_have_nothing_either(running: tuple[DockerHub, Container]) -> None:
    """Whoever became root would still hold no capability, and gain none by set-uid."""
    hub, session = running
    found = json.loads(hub.inside(session, PROCESS.replace("PID", "'self'"), user="0"))
    assert found[2:] == UNPRIVILEGED[2:]


@pytest.mark.parametrize(
    "folder", ["/data", "/data/wrds", "/data/wrds/inner", "/app", "/templates"]
)
@pytest.mark.parametrize("user", ["", "0"])
def test_what_is_read_only_cannot_be_written(
    running: tuple[DockerHub, Container], folder: str, user: str
) -> None:
    hub, session = running
    code = f"""
import os, errno
try:
    os.close(os.open({folder!r} + "/mine", os.O_CREAT | os.O_WRONLY))
    print("written")
except OSError as error:
    print(errno.errorcode[error.errno])"""
    said = hub.inside(session, code, user=user).strip()
    if folder == "/data":  # the image's own folder, between mounts: root's, and thrown away
        assert said == ("EACCES" if not user else "written")
    else:
        assert said == "EROFS"


def test_data_code_and_work(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    code = """
import house
print(house.RULE, open("/data/wrds/prices.csv").readline().strip())
open("/home/jovyan/work/mine.txt", "w").write("kept")"""
    assert hub.inside(session, code).strip() == "ours permno,price"
    kept = hub.hub.state / "workspaces" / "ada" / "work" / "mine.txt"
    assert kept.read_text() == "kept"
    assert kept.stat().st_uid == 1000


def test_the_container_cannot_be_remounted(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    code, said = hub.engine.run(session.id, "mount", "-o", "remount,rw", "/data/wrds", user="0")
    assert code != 0, said


OWN = {
    "PYTHONPATH": "/app",
    "DATA_PATH": "/data",
    "USER_ID": "ada",
    "OMP_NUM_THREADS": "1",
    "SET_BY_OPERATOR": "yes",
    "NOTEBOOK_DB": "/home/jovyan/work/.blackroad/notebooks.db",
    "JUPYTERHUB_USER": "ada",
    "JUPYTERHUB_ROOT_DIR": "/home/jovyan",
    "HOME": "/home/jovyan",
    "BLACKROAD_TEMPLATES": "/templates",
}


def test_environment(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    found = json.loads(hub.inside(session, code))
    assert {name: found.get(name) for name in OWN} == OWN
    known = ("JUPYTER", "JPY_", "PATH", "HOSTNAME", "LANG", "SHELL", *OWN)
    assert not [name for name in found if not name.startswith(known)]


def test_no_secret_of_the_hub_is_inside(running: tuple[DockerHub, Container]) -> None:
    """Environment, labels, configuration and every file that the image did not bring."""
    hub, session = running
    other = hub.hub.token_for("ada")
    cookie = (hub.hub.state / "cookie_secret").read_text().strip()
    secrets = [*SECRETS.values(), cookie, TOKEN, other, str(hub.hub.state / "jupyterhub.sqlite")]
    changed = hub.engine.client.diff(session.id) or []
    paths = [entry["Path"] for entry in changed if entry["Kind"] != 2]
    code = f"""
import glob, os
secrets = {secrets!r}
paths = {paths!r} + glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")
for folder in ("/home", "/tmp", "/app", "/data", "/templates", "/etc", "/run"):
    for place, _, names in os.walk(folder):
        paths += [os.path.join(place, name) for name in names]
looked = 0
mine = f"/proc/{{os.getpid()}}/"  # this code names the secrets
for path in paths:
    if path.startswith(mine):
        continue
    try:
        content = open(path, "rb").read()
    except OSError:
        continue
    looked += 1
    for secret in secrets:
        if secret.encode() in content:
            print(path, secret)
print(looked)"""
    *found, looked = hub.inside(session, code, user="0").splitlines()
    assert not found
    assert int(looked) > 100
    described = json.dumps(hub.engine.client.inspect_container(session.id))
    assert not [secret for secret in secrets if secret in described]


def test_labels(running: tuple[DockerHub, Container]) -> None:
    hub, session = running
    assert {
        name: text for name, text in session.labels.items() if name.startswith("blackroad")
    } == {
        "blackroad.hub": hub.hub_id,
        "blackroad.session": session.session,
        "blackroad.user": "ada",
        "blackroad.server": "",
        "blackroad.profile": "small",
    }


def test_the_session_server(running: tuple[DockerHub, Container]) -> None:
    """The extension is on, JupyterLab answers, and a stranger's token is refused."""
    hub, session = running
    url, token = base_url(hub, session), hub.hub.token_for("ada")
    assert hub.hub.call("GET", f"{url}blackroad/health", token)[0] == 200
    assert hub.hub.call("GET", f"{url}lab", token)[0] == 200
    assert hub.hub.call("GET", f"{url}api/kernels", hub.hub.token_for("eve"))[0] == 403


def base_url(hub: DockerHub, session: Container) -> str:
    return f"http://{session.addresses[hub.network]}:8888/user/ada/"


async def run_in_kernel(channels: str, token: str, code: str) -> str:
    """Run code on a kernel of a session; return what it printed."""
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    headers = {"Authorization": f"token {token}"}
    socket = await websocket_connect(HTTPRequest(channels, headers=headers))
    message: dict[str, Any] = {
        "header": {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "",
                   "version": "5.3", "date": "2026-11-21T00:00:00Z"},
        "parent_header": {}, "metadata": {}, "buffers": [], "channel": "shell",
        "content": {"code": code, "silent": False},
    }  # fmt: skip
    await socket.write_message(json.dumps(message))
    printed = ""
    async with asyncio.timeout(60):
        while True:
            text = await socket.read_message()
            assert isinstance(text, str)
            said = json.loads(text)
            if said["parent_header"].get("msg_id") != "1":
                continue
            assert said["msg_type"] != "error", said
            if said["msg_type"] == "stream":
                printed += said["content"]["text"]
            if said["msg_type"] == "execute_reply":
                socket.close()
                while await socket.read_message() is not None:
                    pass  # until the other side has closed it too
                return printed


def test_work_is_kept_over_a_stop(running: tuple[DockerHub, Container]) -> None:
    """The last test here: it stops the session that the others look at."""
    hub, session = running
    hub.inside(session, "open('/home/jovyan/work/late.txt', 'w').write('still here')")
    assert hub.hub.stop_session("ada")[0] in (202, 204)
    hub.hub.wait_gone("ada")
    until(lambda: not hub.containers())
    again = hub.launch("ada")
    assert again.id != session.id
    assert hub.inside(again, "print(open('/home/jovyan/work/late.txt').read())") == "still here\n"
