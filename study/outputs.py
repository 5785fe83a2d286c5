"""Where a study writes: the names of everything in a folder of outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outputs:
    """A folder of outputs, shared by all studies that are given it."""

    root: Path

    @property
    def trainings(self) -> Path:
        """The records: a folder for each finished training."""
        return self.root / "trainings"

    @property
    def data(self) -> Path:
        """Where datasets are cached."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """The logs of executions."""
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        """Trainings that are under way on this machine."""
        return self.root / "checkpoints"

    @property
    def database(self) -> Path:
        """MLflow's store, where no other is named."""
        return self.root / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The artifacts of that store."""
        return self.root / "artifacts"

    @property
    def ray(self) -> Path:
        """What Ray Tune writes."""
        return self.root / "ray"

    @property
    def reports(self) -> Path:
        """A folder for each report."""
        return self.root / "reports"

    @property
    def locks(self) -> Path:
        """A lock for each study."""
        return self.root / "locks"

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow's store in this folder."""
        return sqlite_address(self.database)


def sqlite_address(path: Path) -> str:
    """The address of a SQLite store. What SQLAlchemy, or a line of text, would read otherwise is quoted.

    MLflow 3.17 makes the folder of a `sqlite:///` address as it is written, quotes and all: a folder `a%3Fb` beside
    `a?b`. Of an address that names the driver too it makes none.
    """
    written = str(path.absolute())
    quoted = re.sub(r"[%?\x00-\x20\x7f]", lambda match: f"%{ord(match[0]):02X}", written)
    return f"sqlite:///{quoted}" if quoted == written else f"sqlite+pysqlite:///{quoted}"
