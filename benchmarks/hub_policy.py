"""What our policy adds to a spawn: the checks, the place held, the row, the readiness.

    python benchmarks/hub_policy.py [--rounds N]

Two hubs without containers run at the same time: a plain JupyterHub, and ours with
`PolicyMixin` over the same spawner, whose sessions answer at once. Each round starts a
session on either, in turn, by REST. No proxy, so that nothing waits but the hubs. The
difference is that of each round.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

import hub_stand_ins
import hubs
from report import Report, Result, caption, parser, spread, table

PLAIN = 'c.JupyterHub.spawner_class = "hub_stand_ins.Instant"\n' + hubs.NO_PROXY
POLICY = 'c.JupyterHub.spawner_class = "hub_stand_ins.InstantWithPolicy"\n' + hubs.NO_PROXY
USER = "ada"


def measure(rounds: int, folder: Path) -> Result:
    """Return milliseconds of each round, with the policy and without."""
    os.environ["SESSIONS_PORT"] = str(hub_stand_ins.serve())
    found: Result = {"policy": [], "plain": []}
    with ExitStack() as stack:
        policy = hubs.hub(folder / "policy", hubs.OURS, POLICY, [USER], arguments={"docker": False})
        plain = hubs.hub(folder / "plain", hubs.STOCK, PLAIN, [USER])
        pair = [stack.enter_context(policy), stack.enter_context(plain)]
        for number in range(rounds + 2):
            spent = {}
            for side in pair if number % 2 else reversed(pair):
                spent[side.folder.name] = side.start(USER) * 1000
                side.stop(USER)
            for name, milliseconds in spent.items() if number > 1 else ():  # caches are full
                found[name].append(milliseconds)
    return found


def tables(result: Result) -> str:
    found = result["found"]
    with_policy, without = (statistics.median(found[side]) for side in ("policy", "plain"))
    low, middle, high = spread(
        [ours - theirs for ours, theirs in zip(found["policy"], found["plain"], strict=True)]
    )
    row = ["request to ready", f"{with_policy:.1f} ms", f"{without:.1f} ms", f"{middle:+.1f} ms",
           f"{low:+.1f} to {high:+.1f}", "+10 ms"]  # fmt: skip
    head = ["spawn", "with our policy", "plain", "more", "middle half", "our target"]
    return f"{table(head, [row])}\n\n{caption(result)}"


def main() -> None:
    own = parser(__doc__)
    own.add_argument("--rounds", type=int, default=100)
    options = own.parse_args()
    report = Report("hub_policy", options, hubs.PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.rounds, Path(folder))
    print(tables(report.save(found)))


if __name__ == "__main__":
    main()
