"""The tiny study on a Ray cluster of two nodes that is up already, tracked on an MLflow server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.records.records import Record
from tests.support.ray_nodes import RayNodes, ray_nodes
from tests.support.stores import Server, Store
from tests.support.workplaces import NUM_TRAININGS, PATIENCE_SECONDS, FinishedRun, Workplace, digest_alone, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
DESCENT = '''"""Gradient descent of the user's own."""
import os

import torch


class Descent(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        as_it_should_be = "py_modules_files" in __file__ or "IS_THE_DRIVER" in os.environ
        assert as_it_should_be, "the code on this node is what was sent, not what lies in the user's folder"
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.sub_(parameter.grad, alpha=group["lr"])
'''


@pytest.fixture(scope="module")
def cluster(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Two nodes of one core each."""
    with ray_nodes(tmp_path_factory.mktemp("nodes"), code) as nodes:
        nodes.start()
        nodes.start()
        yield nodes


@pytest.fixture(scope="module")
def token(cluster: RayNodes) -> dict[str, str]:
    """What a driver shows to the cluster; by default it lies in the user's home, which tests leave alone."""
    return cluster.token


def test_it_runs_by_address_and_by_variable_with_the_bits_of_one_machine(
    workplace: Workplace, cluster: RayNodes, token: dict[str, str], server: Server, finished: FinishedRun
) -> None:
    workplace = workplace.with_environment(**token)
    first = workplace.run("run", "tiny.yaml", "--address", cluster.address, "--tracking-uri", server.uri)
    assert first.returncode == 0, first.stdout + first.stderr
    assert f"tiny is complete: {NUM_TRAININGS} trainings" in first.stdout
    records = workplace.records()
    assert _bits(records) == _bits(finished.workplace.records())
    Store(server.uri).assert_every_point_is_there_once(records)

    by_variables = workplace.with_environment(RAY_ADDRESS=cluster.address, MLFLOW_TRACKING_URI=server.uri)
    second = by_variables.run("run", "tiny.yaml", "--set", "confirm.num_reporting_seeds=3")
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"{NUM_TRAININGS} of them recorded before" in second.stdout
    Store(server.uri).assert_every_point_is_there_once(workplace.records())
    assert not (workplace.outputs / "mlflow.db").exists()
    _assert_the_report_can_be_made_elsewhere(workplace, server)


def _assert_the_report_can_be_made_elsewhere(workplace: Workplace, server: Server) -> None:
    """Where no record is: from the server alone, and the images for its pictures."""
    command = [
        sys.executable,
        "-m",
        "analysis",
        "all",
        "--study",
        "tiny",
        "--tracking-uri",
        server.uri,
        "--outputs",
        "elsewhere",
    ]
    environment = workplace.environment | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command,
        cwd=workplace.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = workplace.folder / "elsewhere" / "reports" / "tiny"
    assert {"index.html", "claims.json", "provenance.json", "tables", "figures"} <= {
        path.name for path in report.iterdir()
    }
    assert len(list((report / "figures").glob("*.png"))) >= 5


def test_code_of_the_user_reaches_the_nodes(
    workplace: Workplace, cluster: RayNodes, token: dict[str, str], server: Server
) -> None:
    """It lies in a folder on the user's PYTHONPATH: that in which the command is given would be on the nodes' path
    too, and they are on this machine. The driver itself tries a step of it, from that folder."""
    package = workplace.folder / "library" / "my_package"
    package.mkdir(parents=True)
    for file, text in {
        "../my_descent.py": DESCENT,
        "__init__.py": "",
        "rules.py": DESCENT,
        "steps.py": "from .rules import Descent\n",
    }.items():
        (package / file).write_text(text)
    names = ["my_descent:Descent", "my_package.steps:Descent"]
    mine = ["--set", f"factors.optimizer={names}", "--set", "search.num_proposals=1", "--set", "name=mine"]
    place = workplace.with_environment(PYTHONPATH=f"{workplace.code}:{package.parent}", IS_THE_DRIVER="1", **token)
    done = place.run("run", "tiny.yaml", "--address", cluster.address, "--tracking-uri", server.uri, *mine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {record.identity.configuration["optimizer"] for record in workplace.records().values()} == set(names)


def _bits(records: dict[str, Record]) -> dict[str, str]:
    return {name: record.weights_sha256 for name, record in records.items()}


def test_ctrl_c_checkpoints_what_the_nodes_train_and_the_same_command_continues(
    workplace: Workplace, cluster: RayNodes, token: dict[str, str], server: Server
) -> None:
    place, seen_by_all = workplace.with_environment(**token), workplace.folder / "checkpoints"
    long = (
        "--set",
        "factors.optimizer=[adam]",
        "--set",
        "search.num_proposals=1",
        "--set",
        "search.budget_samples=1000",
        "--set",
        "search.num_evaluations=1",
    )
    command = (
        "run",
        "tiny.yaml",
        *long,
        "--set",
        "training.budget_samples=800000",
        "--address",
        cluster.address,
        "--tracking-uri",
        server.uri,
        "--checkpoints",
        str(seen_by_all),
    )
    driver = place.start(*command)
    wait_until(lambda: place.num_records() >= 2 or driver.poll() is not None, "the search is recorded")
    time.sleep(2)
    assert place.num_records() == 2, f"the trainings to be stopped were too short for this machine: {place.printed}"
    driver.send_signal(signal.SIGINT)
    assert driver.wait(60) == 130, place.printed
    assert (
        "stopped; everything finished is kept and what was under way is checkpointed. The same command continues."
        in place.printed
    )
    assert "Traceback" not in place.printed
    checkpoints = list(seen_by_all.glob("*.safetensors"))
    assert checkpoints
    wait_until(lambda: not place.processes(), "no process of the driver's is left", 60, 0.5)

    continued = place.run(*command)
    assert continued.returncode == 0, continued.stderr
    assert "2 of 4 trainings are recorded already" in continued.stdout
    records = place.records()
    assert place.most_at_once() == 2, "each node has one core: two trainings at once are on two nodes"
    Store(server.uri).assert_every_point_is_there_once(records)
    resumed = records[checkpoints[0].stem]
    assert digest_alone(resumed, place.folder) == place.digest(resumed)


@pytest.mark.parametrize(
    "shown",
    [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}],
    ids=["none", "wrong"],
)
def test_a_cluster_that_asks_for_its_token_is_named_within_half_a_minute(
    workplace: Workplace, cluster: RayNodes, shown: dict[str, str]
) -> None:
    began = time.monotonic()
    refused = workplace.with_environment(**shown).run("run", "tiny.yaml", "--address", cluster.address)
    assert time.monotonic() - began < 30
    assert refused.returncode == 1
    assert f"Ray cannot be reached at {cluster.address}" in refused.stderr
    assert "RAY_AUTH_MODE=token" in refused.stderr
    assert "Traceback" not in refused.stderr
