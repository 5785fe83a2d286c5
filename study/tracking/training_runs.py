"""The nested runs of a study's trainings: begun while these are under way, completed and sealed from their records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import LOG, WEIGHTS, Record, Unfinished
from study.spec import Study
from study.tracking.cell_runs import cell_colours
from study.tracking.contents import failure_tags, run_key, run_params, run_tags, unfinished_params, unfinished_tags
from study.tracking.runs import KnownRun, existing_runs, metrics_of, place_of, places_held, points_of, renew_parent
from study.tracking.seal import SEAL, seal_of
from study.tracking.store import link

_BATCH = 900
"""Metrics in one call; the server takes at most 1,000."""

_MOST_CHARACTERS_OF_A_NAME = 250
"""PostgreSQL refuses longer names of runs."""


class TrainingRuns:
    """What MLflow has of a study's trainings, and how it gets the rest.

    Each method raises what the store raises. Then `refresh` is due: what was under way may be there or not.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        parent_run_id: str,
        study: Study,
        folder_of: Callable[[Record], Path],
    ) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._parent_run_id = parent_run_id
        self._study = study.name
        self._colours = cell_colours(study)
        self._folder_of = folder_of
        self._failed: dict[str, str] = {}
        self._held: dict[str, set[tuple[str, int, int]]] = {}
        self.refresh()
        renew_parent(client, [*self._runs.values(), *self._duplicates], parent_run_id)

    def refresh(self) -> None:
        """Asks the store what it has."""
        self._runs, self._duplicates = existing_runs(self._client, self._experiment_id)
        self._held.clear()

    @property
    def positions(self) -> set[str]:
        """The places in the study of which there are runs."""
        return {key.rpartition("|")[0] for key in self._runs if key}

    def follow(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        """A training that is under way: its run, with its points so far. One that the store has whole stays so."""
        key, points = run_key(planned, unfinished.identity.hash), points_of(unfinished.evaluations)
        known = self._runs.get(key)
        if known is not None and known.status == "FINISHED":
            return
        run = self._open(planned, key, unfinished.started_ms, points)
        if run.status != "RUNNING":
            self._client.update_run(run.run_id, status="RUNNING")
            self._runs[key] = replace(run, status="RUNNING")
        held = self._held[run.run_id]
        missing = [point for point in points if place_of(point) not in held]
        if missing or not held:
            self._log(run, missing, {} if held else unfinished_params(unfinished.identity))
            held.update(map(place_of, missing))

    def write(self, planned: PlannedTraining, record: Record) -> None:
        """One training as one nested run: renews one that is there whole, completes one that is there in part.

        Its tags are written last: a run with an outcome has all that its record has.
        """
        key = run_key(planned, record.identity.hash)
        known = self._runs.get(key)
        if known is not None and known.status == "FINISHED":
            self._renew(known, planned, record)
            return
        points, params = metrics_of(record), run_params(record)
        run = self._open(planned, key, record.started_ms, points)
        tags = run_tags(planned, record, self._study, self._parent_run_id) | {"key": key}
        tags[SEAL] = seal_of(record.started_ms, params, tags, ((each.key, each.step, each.value) for each in points))
        for file in (self._folder_of(record) / name for name in (WEIGHTS, LOG)):
            if not link(file, run.artifact_uri) and (file.name == WEIGHTS or file.exists()):
                self._client.log_artifact(run.run_id, str(file))
        held = self._held.pop(run.run_id)
        self._log(run, [point for point in points if place_of(point) not in held], params, tags)
        self._client.set_terminated(run.run_id, "FINISHED", record.finished_ms)
        self._runs[key] = replace(run, status="FINISHED")

    def give_up(self, planned: PlannedTraining) -> None:
        """A training whose code raised: the run that it may have fails, with what it has."""
        for key, run in self._under_way():
            if key.rpartition("|")[0] == planned.position:
                self._tag(run, failure_tags(planned, self._parent_run_id))
                self._client.set_terminated(run.run_id, "FAILED")
                self._failed[planned.position] = run.run_id
                del self._runs[key]

    def explain(self, planned: PlannedTraining, texts: Mapping[str, str]) -> None:
        """A training that was given up: its run, or a new one, holds these texts by file name."""
        run_id = self._failed.get(planned.position)
        if run_id is None:
            tags = failure_tags(planned, self._parent_run_id)
            run_id = str(self._client.create_run(self._experiment_id, tags=tags, run_name=_name(planned)).info.run_id)
        for name, text in texts.items():
            self._client.log_text(run_id, text, name)
        self._client.set_terminated(run_id, "FAILED")

    def end_unfinished(self) -> None:
        """Says of each run that is under way that it was killed; it goes on where its training does."""
        for key, run in self._under_way():
            self._client.set_terminated(run.run_id, "KILLED")
            self._runs[key] = replace(run, status="KILLED")

    def mark_superseded(self, wanted: Collection[str]) -> None:
        """Tags what has none of these keys, and runs that are there twice, so that reports leave them out."""
        self.refresh()
        self.end_unfinished()
        for run in [*(run for key, run in self._runs.items() if key not in wanted), *self._duplicates]:
            if not run.superseded:
                self._client.set_tag(run.run_id, "superseded", "true")
            if run.status == "RUNNING":
                self._client.set_terminated(run.run_id, "KILLED")

    def _under_way(self) -> list[tuple[str, KnownRun]]:
        return [(key, run) for key, run in self._runs.items() if run.status == "RUNNING"]

    def _open(self, planned: PlannedTraining, key: str, started_ms: int, points: Sequence[Metric]) -> KnownRun:
        """The run of that key, a new one where there is none.

        One that has other points makes way, since MLflow takes none back. They are of a training that was killed, and
        what was measured again has other times; or of a record that was damaged since.
        """
        run = self._runs.get(key)
        if run is not None and run.run_id not in self._held:
            self._held[run.run_id] = places_held(self._client, run.run_id)
        if run is not None and (run.started_ms != started_ms or self._held[run.run_id] - set(map(place_of, points))):
            self._client.delete_run(run.run_id)
            run = None
        if run is None:
            tags = unfinished_tags(planned, self._parent_run_id)
            tags |= {"key": key, "mlflow.runColor": self._colours[planned.cell.label]}
            created = self._client.create_run(
                self._experiment_id, start_time=started_ms, tags=tags, run_name=_name(planned)
            )
            run = self._runs[key] = KnownRun.of(created)
            self._held[run.run_id] = set()
        return run

    def _log(
        self, run: KnownRun, points: Sequence[Metric], params: Mapping[str, str], tags: Mapping[str, str] = {}
    ) -> None:  # the default is never changed
        """Parameters and points, then tags, in as few calls as the server takes."""
        starts = range(0, max(1, len(points)), _BATCH)
        for start in starts:
            self._client.log_batch(
                run.run_id,
                metrics=points[start : start + _BATCH],
                params=[Param(name, text) for name, text in params.items()] if start == 0 else (),
                tags=[RunTag(name, text) for name, text in tags.items()] if start == starts[-1] else (),
            )

    def _tag(self, run: KnownRun, tags: Mapping[str, str]) -> None:
        self._log(run, [], {}, tags)

    def _renew(self, run: KnownRun, planned: PlannedTraining, record: Record) -> None:
        """Gives a run that is there the files of its record, since one that was damaged and trained again has others;
        and the name of today, where a version that named runs otherwise wrote it."""
        link(self._folder_of(record) / LOG, run.artifact_uri)
        if link(self._folder_of(record) / WEIGHTS, run.artifact_uri) and run.weights_sha256 != record.weights_sha256:
            self._client.set_tag(run.run_id, "weights_sha256", record.weights_sha256)
        if run.superseded:
            self._client.delete_tag(run.run_id, "superseded")
        if run.cell_title != planned.curve_title:
            self._client.set_tag(run.run_id, "cell_title", planned.curve_title)
            self._client.set_tag(run.run_id, "mlflow.runName", _name(planned))
        if run.code_kept != record.code_kept:
            self._client.set_tag(run.run_id, "code_kept", str(record.code_kept).lower())


def _name(planned: PlannedTraining) -> str:
    return planned.title[:_MOST_CHARACTERS_OF_A_NAME]
