"""Waits until so many nodes are in a Ray cluster: exit status 0, or 1 and a line that says which are there.

Run on a node of the cluster, with its token in the environment.

    python -m tools.await_nodes HOST:PORT NUMBER --seconds 180
"""

from __future__ import annotations

import argparse
import logging
import sys
import time

import ray

_PAUSE_SECONDS = 1.0


def await_nodes(address: str, number: int, seconds: float) -> list[str]:
    """The hosts of the nodes that are alive, as soon as there are `number` of them, or after `seconds`."""
    ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    try:
        deadline = time.monotonic() + seconds
        while len(there := _hosts()) < number and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        return there
    finally:
        ray.shutdown()


def _hosts() -> list[str]:
    return sorted(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"])


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Wait until so many nodes are in a Ray cluster.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("number", type=int)
    parser.add_argument("--seconds", type=float, default=180.0)
    given = parser.parse_args()
    there = await_nodes(given.address, given.number, given.seconds)
    if len(there) >= given.number:
        print(f"{len(there)} nodes are in the Ray cluster: {', '.join(there)}", flush=True)
        return 0
    waited = (
        f"only {len(there)} of {given.number} nodes are in the Ray cluster after {given.seconds:g} s:"
        f" {', '.join(there)}"
    )
    advice = (
        "What `ray start` said on the others is above. Leave a sick node out (sbatch --exclude=NODE), or give slow ones"
        " longer (JOIN_SECONDS=600)"
    )
    print(f"error: {waited}. {advice}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
