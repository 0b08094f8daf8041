"""The main job as a user plays it: the command, its processes, its report."""

import json
import os
import subprocess
import sys

import pytest

SEED_VARIABLE = "EDGEWRIGHT_DEMO_SEED"
"""Repeats a run with the seed that it printed."""


@pytest.mark.slow
@pytest.mark.timeout(240)  # 45 s of play, with the recording, the first models and the books
def test_the_headless_demo_keeps_its_promises() -> None:
    """Plant, gateway and cloud as processes; every promise of the report holds.

    The one about latency is a figure of this machine at this moment: on a shared one it is
    reported and not asserted; `edgewright bench latency` is the place to look at it.
    """
    seed = os.environ.get(SEED_VARIABLE, "8")
    print(f"{SEED_VARIABLE}={seed}")
    arguments = ["demo", "--headless", "--for", "45s", "--json", "--seed", seed]
    result = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    print(result.stderr)
    report = json.loads(result.stdout)
    promises = report["promises"]
    assert len(promises) >= 13
    broken = [name for name, kept in promises.items() if not kept and "within" not in name]
    assert broken == [], json.dumps(report, indent=1)
    assert report["samples"]["offered"] > 500
    assert report["outage"]["buffered"] > 0
    assert result.returncode == (0 if all(promises.values()) else 1)
