"""What is handed to workers arrives as it was."""

import os
from pathlib import Path

import pytest

from pdp.config.model import Settings
from pdp.process.parcel import _pack, pack_settings, unpack_settings

CALLER = "spiffe://prod.example.org/ns/bench/sa/pep"


@pytest.mark.parametrize(
    "given",
    [
        {"http": {"listen": "unix:/x/s.sock", "plaintext": True}, "local": {"caller": CALLER}},
        {"process": {"workers": 3}, "limits": {"in_flight": 7}, "drain": {"grace_seconds": 0}},
    ],
)
def test_settings_arrive_as_they_were(given: dict[str, object]) -> None:
    settings = Settings.model_validate({"policies": {"path": "policies"}, **given})

    file = pack_settings(settings)

    assert unpack_settings(file) == settings
    os.close(file)


def test_what_cannot_be_packed_leaves_no_file_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(TypeError):
        _pack(object())

    assert len(list(Path("/proc/self/fd").iterdir())) == before
