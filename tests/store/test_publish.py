"""Publication: one current version, the last good one kept, every publication told apart."""

from contextlib import suppress

from pdp.store.bundle import make_bundle
from pdp.store.loader import Loader
from pdp.store.publish import Accepted, Publisher, Rejected

HEADER = 'language 1\ntrust domain prod = "prod.test"\n'


def bundle(*rules, files=None):
    text = HEADER + "service s {\n" + "".join(f"    {rule}\n" for rule in rules) + "}\n"
    return make_bundle({"a.policy": text.encode(), **(files or {})})


A = bundle("allow prod/a to GET /x")
B = bundle("allow prod/a to GET /x", "allow prod/b to GET /x", "deny prod/c to any /**")
BROKEN = make_bundle({"a.policy": b"language 1\nservice {"})


def publisher(events):
    loader = Loader()
    first = loader.load(A, now=0).snapshot
    assert first is not None
    return Publisher(loader, first, on_event=events.append, now=0)


def test_good_version_is_served_with_what_it_grants_and_revokes():
    events = []
    served = publisher(events)

    event = served.offer(B, 5)

    assert isinstance(event, Accepted)
    assert (event.changes.granted, event.changes.revoked) == (1, 1)
    assert served.current.number == 2
    assert served.confirmed_at == 5
    assert events == [event]


def test_broken_version_changes_nothing_and_is_not_confirmed():
    served = publisher([])
    before = served.current

    event = served.offer(BROKEN, 5)
    served.confirm(6)

    assert isinstance(event, Rejected)
    assert event.serving == before.snapshot.revision
    assert served.current is before
    assert served.confirmed_at == 0


def test_version_saved_again_after_a_broken_one_is_the_same_version():
    served = publisher([])
    before = served.current
    served.offer(BROKEN, 5)

    event = served.offer(A, 7)

    assert isinstance(event, Accepted)
    assert served.current is before
    assert served.confirmed_at == 7


def test_revert_is_a_new_revision():
    served = publisher([])
    names = [served.current.snapshot.revision]

    for version in (B, A, B, A):
        served.offer(version, 1)
        names.append(served.current.snapshot.revision)

    assert len(set(names)) == len(names)
    assert names[2].startswith(names[0])
    assert all(served.has_seen(name) for name in names)


def test_defect_while_loading_confirms_nothing(monkeypatch):
    served = publisher([])

    def fail(*_args, **_kwargs):
        raise RuntimeError

    monkeypatch.setattr(Loader, "load", fail)
    with suppress(RuntimeError):
        served.offer(B, 5)
    served.confirm(9)

    assert served.confirmed_at == 0


def test_what_else_can_change_an_answer_is_in_the_revision():
    one = Loader(circumstances="roots 1").load(A, now=0).snapshot
    two = Loader(circumstances="roots 2").load(A, now=0).snapshot

    assert one.revision != two.revision


# -- other circumstances -------------------------------------------------------------------


def test_other_circumstances_are_a_new_revision_of_the_same_policies():
    events = []
    served = publisher(events)
    before = served.current

    served.restate("other roots")

    after = served.current
    assert after.number == before.number + 1
    assert after.snapshot.revision != before.snapshot.revision
    assert after.snapshot.index is before.snapshot.index  # nothing was compiled
    assert served.has_seen(after.snapshot.revision)
    (event,) = events
    assert isinstance(event, Accepted)
    assert (event.before, event.published, str(event.changes)) == (before, after, "no rule changed")
    assert served.offer(A, 5).published is after  # the next load names them too
    assert after.snapshot.revision == Loader(circumstances="other roots").load(A, now=0).snapshot.revision


def test_the_same_circumstances_are_nothing_new_and_their_return_is_a_new_revision():
    events = []
    served = publisher(events)
    first = served.current.snapshot.revision

    served.restate("")
    assert events == []
    served.restate("x")
    served.restate("")

    assert served.current.snapshot.revision == f"{first}~2"
    assert [event.published.number for event in events] == [2, 3]


def test_other_circumstances_confirm_nothing_and_mend_nothing():
    served = publisher([])
    served.offer(BROKEN, 5)

    served.restate("x")
    served.confirm(6)

    assert served.confirmed_at == 0
    assert served.current.number == 2
    event = served.offer(BROKEN, 7)
    assert event.serving == served.current.snapshot.revision


class Slow:
    """A loader to which something happens while it compiles anything but the first version."""

    def __init__(self):
        self.loader = Loader()
        self.first = self.loader.load(A, now=0).snapshot

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def __setattr__(self, name, value):
        if name == "circumstances":
            self.loader.circumstances = value
        else:
            object.__setattr__(self, name, value)

    def load(self, bundle, *, now):
        self.during()
        return self.loader.load(bundle, now=now)


def test_whoever_states_other_circumstances_waits_for_no_compilation():
    events = []
    loader = Slow()
    served = Publisher(loader, loader.first, on_event=events.append, now=0)
    numbers = []

    def during():
        served.restate("x")  # returns: a dead-lock would show here
        served.restate("y")
        numbers.append(served.current.number)

    loader.during = during
    served.offer(B, 1)

    assert numbers == [1]  # one at a time
    assert served.current.number == 3
    assert served.current.snapshot.revision == Loader(circumstances="y").load(B, now=0).snapshot.revision


def test_a_defect_of_a_compilation_keeps_no_circumstances_back():
    loader = Slow()
    served = Publisher(loader, loader.first, on_event=lambda _: None, now=0)

    def during():
        served.restate("x")
        raise RecursionError

    loader.during = during
    with suppress(RecursionError):
        served.offer(B, 1)

    assert served.current.snapshot.revision == Loader(circumstances="x").load(A, now=0).snapshot.revision


def test_circumstances_that_come_and_go_during_a_compilation_are_a_new_revision():
    loader = Slow()
    served = Publisher(loader, loader.first, on_event=lambda _: None, now=0)
    before = served.current.snapshot.revision

    def during():
        served.restate("x")  # in force, and told to nobody: whoever is answered now has the old revision
        served.restate("")

    loader.during = during
    served.offer(A, 1)

    assert served.current.snapshot.revision == f"{before}~2"


def test_circumstances_that_not_all_went_over_to_are_stated_again():
    served, failing = publisher([]), [True]

    def change_over(_, __):
        if failing:
            raise OSError

    served._change_over = change_over
    with suppress(OSError):
        served.restate("x")
    failing.clear()

    served.restate("x")

    assert served.current.snapshot.revision == Loader(circumstances="x").load(A, now=0).snapshot.revision
