"""`pdp serve` once its settings are known: the service, and what it prints."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pdp.cli.reporting import Reporter
from pdp.config.model import LogTarget, Settings
from pdp.config.roots import trust_files
from pdp.diagnostics import Diagnostic
from pdp.identity.trust import TrustError, load_trust, trust_warnings
from pdp.process.cannot_start import CannotStartError
from pdp.process.forks import Forks
from pdp.process.settings_read import Found
from pdp.process.start import start

__all__ = ["run"]


def run(
    settings: Settings,
    doubts: Sequence[Diagnostic],
    again: Callable[[], Found] | None,
    forks: Forks,
    *,
    as_json: bool,
) -> str:
    """Serve until told to end.

    Args:
        settings: What to serve and how.
        doubts: What is doubtful about the settings.
        again: Reads the settings again.
        forks: Begins processes of workers.
        as_json: Print for programs.

    Returns:
        What kept it from serving, if something did.
    """
    with Reporter(as_json=as_json, err=settings.decision_log.target is LogTarget.STDOUT) as reporter:
        for doubt in doubts:
            reporter.say(f"warning: {doubt.message}")
        try:
            files = trust_files(settings)
            store = load_trust(files.domains, dns=files.dns, crls=files.crls)
            for warning in trust_warnings(store, datetime.now(UTC)):
                reporter.say(f"warning: {warning}")
            start(
                settings, store, forks=forks, ready=reporter.serving, say=reporter.say,
                edited=reporter.edited, read=again, reread=reporter.settings_read,
            )  # fmt: skip
        except (TrustError, CannotStartError) as error:
            return str(error)
    return ""
