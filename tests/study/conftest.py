from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.refusals import Site, listening, site_of_somebody
from tests.support.shared_workplaces import code as code
from tests.support.shared_workplaces import continued as continued
from tests.support.shared_workplaces import finished as finished
from tests.support.shared_workplaces import server as server
from tests.support.shared_workplaces import workplace as workplace


@pytest.fixture
def site() -> Iterator[Site]:
    """A web server that is neither MLflow nor Ray."""
    with site_of_somebody() as site:
        yield site


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Something listens and never answers."""
    with listening() as port:
        yield port
