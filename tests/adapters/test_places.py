"""Places for connections: the oldest that is not being answered makes room, and all have a share."""

from pdp.adapters.places import Places


class Connection:
    def __init__(self, *, answering: bool = False) -> None:
        self.answering, self.cut = answering, False

    def cut_off(self) -> None:
        self.cut = True


def test_the_oldest_idle_one_makes_room_for_one_more() -> None:
    places, made = Places(most=3, of_one=3), [Connection(answering=True), Connection(), Connection()]
    for each in made:
        assert places.take(each, "a")

    assert places.take(Connection(), "b")

    assert [each.cut for each in made] == [False, True, False]


def test_a_share_is_made_room_in_by_its_own_alone() -> None:
    places, other, own = Places(most=4, of_one=2), Connection(), [Connection(), Connection()]
    places.take(other, "b")
    for each in own:
        places.take(each, "a")

    assert places.take(Connection(), "a")

    assert (other.cut, [each.cut for each in own]) == (False, [True, False])


def test_there_is_no_place_where_all_are_being_answered() -> None:
    places, busy = Places(most=2, of_one=1), Connection(answering=True)
    assert places.take(busy, "a")
    assert not places.take(Connection(), "a")
    assert places.take(Connection(answering=True), "b")
    assert not places.take(Connection(), "c")

    places.leave(busy)

    assert places.take(Connection(), "c")
    assert not busy.cut


def test_whoever_was_cut_off_has_no_place_to_leave() -> None:
    places, first = Places(most=1, of_one=1), Connection()
    places.take(first, "a")
    second = Connection(answering=True)
    places.take(second, "a")

    places.leave(first)

    assert not places.take(Connection(), "a")
