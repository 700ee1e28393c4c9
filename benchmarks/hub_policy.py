"""What our policy adds to a spawn: the checks, the place held, the row, the readiness.

    python benchmarks/hub_policy.py [--rounds N]

Two hubs without containers run at the same time: a plain JupyterHub, and ours with
`PolicyMixin` over the same spawner, whose sessions answer at once. Each round starts a
session on either, in turn, by REST. No proxy, so that nothing waits but the hubs.
Prints a Markdown table; the difference is that of each round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import hub_stand_ins
import hubs

PLAIN = 'c.JupyterHub.spawner_class = "hub_stand_ins.Instant"\n' + hubs.NO_PROXY
POLICY = 'c.JupyterHub.spawner_class = "hub_stand_ins.InstantWithPolicy"\n' + hubs.NO_PROXY
USER = "ada"


def measure(rounds: int, folder: Path) -> list[tuple[float, float]]:
    """Return milliseconds of each round: with the policy, without."""
    os.environ["SESSIONS_PORT"] = str(hub_stand_ins.serve())
    found = []
    with ExitStack() as stack:
        policy = hubs.hub(folder / "policy", hubs.OURS, POLICY, [USER], arguments={"docker": False})
        plain = hubs.hub(folder / "plain", hubs.STOCK, PLAIN, [USER])
        pair = [stack.enter_context(policy), stack.enter_context(plain)]
        for number in range(rounds + 2):
            spent = {}
            for side in pair if number % 2 else reversed(pair):
                spent[side.folder.name] = side.start(USER) * 1000
                side.stop(USER)
            if number > 1:  # imports and caches
                found.append((spent["policy"], spent["plain"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.rounds, Path(folder))
    print(hubs.machine(), file=sys.stderr)
    with_policy, without = (statistics.median(side) for side in zip(*found, strict=True))
    more = sorted(ours - theirs for ours, theirs in found)
    low, high = more[len(more) // 4], more[-1 - len(more) // 4]
    print("| spawn | with policy | plain | more | middle half | at most |")
    print("|---|---|---|---|---|---|")
    print(
        f"| request to ready | {with_policy:.1f} ms | {without:.1f} ms "
        f"| {statistics.median(more):+.1f} ms | {low:+.1f} to {high:+.1f} | +10 ms |"
    )


if __name__ == "__main__":
    main()
