"""What names a revision beside policies: either change is another name, and none is lost."""

from pdp.process.circumstances import Circumstances


def test_without_tokens_the_roots_name_it() -> None:
    assert Circumstances("roots", "", "").name == "roots"


def test_each_change_is_told_with_what_the_other_is_by_then() -> None:
    told: list[str] = []
    found = Circumstances("roots", "tokens", "")

    found.of_roots("other roots", told.append)
    found.of_tokens(lambda: "other tokens", told.append)

    assert told == [
        Circumstances("other roots", "tokens", "").name,
        Circumstances("other roots", "other tokens", "").name,
    ]
    assert len({*told, Circumstances("roots", "tokens", "").name, Circumstances("roots", "", "").name}) == 4


def test_who_is_quarantined_is_part_of_the_name() -> None:
    told: list[str] = []
    found = Circumstances("roots", "", "")

    found.of_quarantine(lambda: "list", told.append)
    found.of_tokens(lambda: "list", told.append)
    found.of_quarantine(lambda: "", told.append)

    names = [
        Circumstances("roots", "", "list").name,
        Circumstances("roots", "list", "list").name,
        Circumstances("roots", "list", "").name,
    ]
    assert told == names
    assert len({*names, "roots"}) == 4
