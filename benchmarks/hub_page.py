"""The spawn page of 20 profiles and 20 templates, as a browser gets it from the hub.

    python benchmarks/hub_page.py [--rounds N]

Both hubs run at the same time and are asked in turn by a user who is logged in; a plain
hub's page has one line of text as its form. Without containers and without a proxy.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import hubs
from report import Report, Result, caption, parser, table

COUNT = 20
USER = "ada"
PLAIN = 'c.Spawner.options_form = "<p>Nothing to choose.</p>"\n' + hubs.NO_PROXY


def write_choices(folder: Path) -> dict[str, object]:
    """Write 20 profiles and 20 templates; return what `configure` is told about them."""
    templates = folder / "templates"
    templates.mkdir()
    profiles = ["max_sessions: 20", "profiles:"]
    for number in range(COUNT):
        profiles.append(f"  - {{name: p{number}, title: Profile {number}, price: {number} EUR}}")
        said = {"title": f"Template {number}", "description": "What it is for, in one line."}
        cells = [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "text " * 2000}]
        notebook = {"cells": cells, "metadata": {"blackroad": said}}
        content = {**notebook, "nbformat": 4, "nbformat_minor": 5}
        (templates / f"template{number}.ipynb").write_text(json.dumps(content))
    (folder / "profiles.yaml").write_text("\n".join(profiles) + "\n")
    return {
        "docker": False,
        "profiles": str(folder / "profiles.yaml"),
        "templates": [str(templates)],
    }


def browser(hub: hubs.Hub) -> OpenerDirector:
    """Log a browser in, which keeps its cookies."""
    jar = CookieJar()
    opener = build_opener(HTTPCookieProcessor(jar))
    opener.open(f"{hub.hub_url}hub/login").read()
    token = next(cookie.value or "" for cookie in jar if cookie.name == "_xsrf")
    form = {"username": USER, "password": hubs.PASSWORD, "_xsrf": token}
    opener.open(f"{hub.hub_url}hub/login?next=/hub/spawn", urlencode(form).encode()).read()
    return opener


def seconds(opener: OpenerDirector, hub: hubs.Hub) -> tuple[float, bytes]:
    begun = time.perf_counter()
    with opener.open(f"{hub.hub_url}hub/spawn") as reply:
        page = reply.read()
    return time.perf_counter() - begun, page


def measure(rounds: int, folder: Path) -> Result:
    """Ask both hubs for the page in turn; return milliseconds and bytes."""
    found: Result = {side: {"ms": [], "bytes": 0} for side in ("ours", "plain")}
    with ExitStack() as stack:
        arguments = write_choices(folder)
        ours = hubs.hub(folder / "ours", hubs.OURS, hubs.NO_PROXY, [USER], arguments=arguments)
        plain = hubs.hub(folder / "plain", hubs.STOCK, PLAIN, [USER])
        running = {"ours": stack.enter_context(ours), "plain": stack.enter_context(plain)}
        openers = {side: browser(hub) for side, hub in running.items()}
        for number in range(rounds + 2):
            for side, hub in running.items():
                spent, page = seconds(openers[side], hub)
                found[side]["bytes"] = len(page)
                if side == "ours":
                    text = page.decode()
                    assert f"Profile {COUNT - 1}" in text
                    assert f"Template {COUNT - 1}" in text
                if number > 1:  # templates of pages are compiled at first
                    found[side]["ms"].append(spent * 1000)
    return found


def tables(result: Result) -> str:
    rows = []
    for side, label in (("ours", f"ours, {COUNT} profiles and templates"), ("plain", "plain hub")):
        page = result["found"][side]
        slow = sorted(page["ms"])[int(len(page["ms"]) * 0.95)]
        size = f"{page['bytes'] / 1000:.0f} kB"
        rows.append([label, f"{statistics.median(page['ms']):.1f} ms", f"{slow:.1f} ms", size])
    return f"{table(['spawn page', 'median', 'one in twenty', 'size'], rows)}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=100)
    options = own.parse_args()
    report = Report("hub_page", options, hubs.PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.rounds, Path(folder))
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
