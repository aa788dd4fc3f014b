"""A worker as its supervisor sees it: it hears of the end of a look for keys, whatever came of that."""

import asyncio
import os
import subprocess
from typing import cast

from pdp.identity.tokens.issuer import TokenProfile
from pdp.process.channel import Channel, pair
from pdp.process.colleague import Colleague
from pdp.process.messages import FromWorker, Look, Looked, ToWorker

DEADLINE = 15.0


def test_a_look_that_fails_is_told_to_have_ended_all_the_same() -> None:
    said: list[str] = []

    async def fails(_: Look) -> None:
        raise OSError("too many open files")

    async def inside(pid: int) -> None:
        ours, theirs = pair()
        theirs.setblocking(False)
        colleague = Colleague(0, (pid, os.pidfd_open(pid)), ours, said.append, fails)
        worker: Channel[FromWorker, ToWorker] = Channel(theirs, cast("type[ToWorker]", ToWorker))
        worker.send(Look(number=7, profile=TokenProfile.OIDC, name="https://a.example", key_id="k"))
        async with asyncio.timeout(DEADLINE):
            message, _ = await worker.receive()
        colleague.kill()
        await colleague.gone()
        worker.close()
        assert message == Looked(number=7)

    with subprocess.Popen(["sleep", "60"]) as process:
        asyncio.run(inside(process.pid))

    assert said == ["keys could not be looked for, by a defect of pdp: OSError: too many open files"]
