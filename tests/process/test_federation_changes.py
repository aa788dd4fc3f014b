"""How often a publisher may change whom we believe, and how much it may write into our log."""

from pdp.limits import MAX_BUNDLE_CHANGES, MAX_BUNDLE_DOUBTS
from pdp.process.federation import Federation, _Changes


def test_some_changes_at_once_and_then_now_and_then() -> None:
    changes = _Changes()
    followed = 0
    for _ in range(100):
        if changes.may_follow():
            changes.count(True)
            followed += 1
    assert followed == MAX_BUNDLE_CHANGES

    changes._at -= 25  # a while later
    assert [changes.may_follow() for _ in range(2)] == [True, True]
    for _ in range(2):
        changes.count(True)
    assert not changes.may_follow()


def test_looks_without_a_change_cost_nothing() -> None:
    changes = _Changes()
    for _ in range(100):
        assert changes.may_follow()
        changes.count(False)


def test_doubts_are_told_in_part() -> None:
    said: list[str] = []
    federation = Federation.__new__(Federation)
    federation._say = said.append

    federation._tell_doubts("partner.example", [f"key {number} is odd" for number in range(60)])

    assert len(said) == MAX_BUNDLE_DOUBTS + 1
    assert said[-1] == f"warning: partner.example: and {60 - MAX_BUNDLE_DOUBTS} more of that kind"
