"""The policies of a service: read, followed as they change, and published."""

from collections.abc import Callable
from pathlib import Path

from pdp.config.model import Settings
from pdp.diagnostics import Severity, escape
from pdp.process.cannot_start import CannotStartError
from pdp.process.edits import shown
from pdp.process.kept import Kept
from pdp.process.parts import Say, clock
from pdp.store.bundle import PolicyBundle
from pdp.store.loader import Loader
from pdp.store.publish import ChangeOver, Event, Publisher, at_once
from pdp.store.snapshot import Snapshot
from pdp.store.versions import Versions
from pdp.store.watch import DirectoryWatcher

__all__ = ["follow_policies", "make_publisher", "unknown_services"]


def make_publisher(
    bundle: PolicyBundle,
    circumstances: str,
    *,
    told: list[Callable[[Event], None]],
    change_over: ChangeOver = at_once,
    kept: Kept | None = None,
) -> Publisher:
    """The publisher of a set without errors.

    Args:
        bundle: The set.
        circumstances: What else names a version, as `Loader` has it.
        told: Who is told of each event, one after the other; may grow later.
        change_over: As `Publisher` has it.
        kept: Where its compiled form may be kept.

    Raises:
        CannotStartError: The set has errors.
    """
    loader = Loader(circumstances=circumstances)
    image = None if kept is None else kept.read(bundle)
    if kept is not None:
        loader.recall = kept.recall
    if image is not None:
        first = Snapshot.of(image, loader.revision(bundle.digest))
    else:
        loaded = loader.load(bundle, now=clock())
        if loaded.snapshot is None:
            wrong = shown(loaded, Severity.ERROR)
            raise CannotStartError(f"{wrong}the policy set has errors, and there is no last good one")
        first = loaded.snapshot
        if kept is not None:
            kept.loaded(len(first.files))
    if kept is not None:
        told.append(kept.note)

    def tell(event: Event) -> None:
        for each in told:
            each(event)

    unprimed = None if image is None else bundle
    return Publisher(loader, first, on_event=tell, now=clock(), change_over=change_over, unprimed=unprimed)


def follow_policies(root: Path, baseline: PolicyBundle, publisher: Publisher, say: Say) -> DirectoryWatcher:
    """Publish what a directory holds as it changes, until what is returned is stopped."""

    def offer(bundle: PolicyBundle) -> None:
        try:
            publisher.offer(bundle, clock())
        except Exception as error:  # noqa: BLE001 - a defect of ours must not be taken for silence
            serving = publisher.current.snapshot.revision
            trouble = escape(f"{type(error).__name__}: {error}")
            say(f"the new version could not be read, by a defect of pdp: {trouble}\nstill serving {serving}")

    watcher = DirectoryWatcher(
        root,
        offer,
        on_error=lambda error: say(f"watching {root}: {escape(str(error))}"),
        on_confirmed=lambda: publisher.confirm(clock()),
        baseline=baseline,
    )
    watcher.start()
    return watcher


def unknown_services(settings: Settings, versions: Versions) -> list[str]:
    """Warnings about services that the settings name and the policy set does not: slips, perhaps."""
    return [
        f"warning: `freshness.services.{escape(name)}`: the policy set declares no such service"
        for name in settings.freshness.unknown(versions.current.snapshot.index.services.keys())
    ]
