"""The service run until it is told to end: in one process, or in several."""

from collections.abc import Callable

from pdp.config.live_sources import live_domains
from pdp.config.model import Settings
from pdp.identity.bundle import LiveBundles, with_live
from pdp.identity.trust import TrustStore
from pdp.process.edits import describe
from pdp.process.forks import Forks
from pdp.process.hangup import Hangups, Read
from pdp.process.parts import Say, clock
from pdp.process.roots import new_warnings
from pdp.process.settings_read import SettingsEvent, describe_settings
from pdp.process.workload_api import asking
from pdp.store.publish import Event
from pdp.store.versions import Versions

__all__ = ["start"]


def start(  # noqa: PLR0913 -- all by keyword but two
    settings: Settings,
    trust: TrustStore,
    *,
    forks: Forks,
    ready: Callable[[str, Versions], None],
    say: Say,
    edited: Callable[[Event], None] | None = None,
    read: Read | None = None,
    reread: Callable[[SettingsEvent], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: What to serve and how.
        trust: The roots of files that callers are verified to.
        forks: Begins processes of workers.
        ready: Called once connections are accepted, with the address and what is served.
        say: Gets what is to be told, a paragraph at a time.
        edited: Is told of saved edits; else `say` gets a paragraph about each.
        read: Reads the settings again on SIGHUP, which else ends the service like any program.
        reread: Is told what became of them; else `say` gets a paragraph about it.

    Raises:
        CannotStartError: A setting or the policy set keeps the service from starting.
    """
    tell = edited or (lambda event: say(describe(event)))
    tell_settings = reread or (lambda event: say(describe_settings(event)))
    live = LiveBundles(live_domains(settings))
    with (
        Hangups(settings, read, tell_settings) as hangups,
        asking(settings, live, say) as agent,
    ):
        of_files, trust = trust, with_live(trust, live)
        for warning in new_warnings(of_files, trust, clock()):
            say(f"warning: {warning}")
        # Each imports much that the other does not.
        if settings.process.workers == 1:
            from pdp.process.alone import serve_alone  # noqa: PLC0415

            serve_alone(
                settings, trust, live, agent=agent, ready=ready, say=say, edited=tell, hangups=hangups
            )
        else:
            from pdp.process.together import serve_together  # noqa: PLC0415

            serve_together(
                settings, trust, live, agent=agent, forks=forks, ready=ready, say=say, edited=tell,
                hangups=hangups,
            )  # fmt: skip
