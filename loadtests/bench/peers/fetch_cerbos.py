"""Fetch the server of Cerbos from npm, by version and digest, into `.pdp/bench`.

.venv/bin/python -m loadtests.bench.peers.fetch_cerbos

For benchmarks on this machine alone: nothing of pdp needs it.
"""

import base64
import hashlib
import subprocess
import tarfile
from pathlib import Path
from typing import Final

__all__ = ["PROGRAM", "VERSION"]

VERSION: Final = "0.55.0"
_SHA512: Final = "eLZUycJfaQWK0XTRgH/Oz2E3XiNCUavDd1LhzFxhUpZ3s5CuQqmqG327ta0On8YOTxuZO/19cG4kvfC22r03/Q=="
_FOLDER: Final = Path(__file__).parents[3] / ".pdp" / "bench" / f"cerbos-{VERSION}"
PROGRAM: Final = _FOLDER / "cerbos"


def main() -> None:
    if PROGRAM.exists():
        print(f"{PROGRAM} is there")
        return
    _FOLDER.mkdir(parents=True, exist_ok=True)
    package = f"@cerbos/cerbos-linux-x64@{VERSION}"
    subprocess.run(["npm", "pack", "--silent", package], cwd=_FOLDER, check=True)
    archive = next(_FOLDER.glob("*.tgz"))
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != _SHA512:
        archive.unlink()
        raise SystemExit(f"{package} is not what it was: sha512-{found}")
    with tarfile.open(archive) as packed:
        member = packed.extractfile("package/cerbos-linux-x64")
        assert member is not None
        PROGRAM.write_bytes(member.read())
    PROGRAM.chmod(0o755)
    archive.unlink()
    print(f"{PROGRAM} fetched")


if __name__ == "__main__":
    main()
