"""Every test of the engine is run twice: on the index as it is built, and on the same read from an image."""

import pytest

from pdp.store.snapshot import Snapshot
from tests.engine.asking import Form
from tests.image.flat import flat_snapshot


@pytest.fixture(params=["built", "image"], autouse=True)
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `snapshot_of` return the one or the other."""
    if request.param == "image":

        def of(snapshot: Snapshot) -> Snapshot:
            return flat_snapshot(snapshot, most=3)  # next to nothing is kept: most is made again and again

        monkeypatch.setattr(Form, "of", staticmethod(of))
