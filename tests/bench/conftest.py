"""What all tests of the bench share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_host_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in boards have no models that this host could be compared with."""
    monkeypatch.setattr("bench.measure.opening.compare_with_host", lambda *args: {})
