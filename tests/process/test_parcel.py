"""What is handed to workers arrives as it was."""

import os

import pytest

from pdp.config.model import Settings
from pdp.process.parcel import pack_settings, unpack_settings

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
