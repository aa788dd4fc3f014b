"""Memory that processes share."""

import os

from pdp.process.panel import Panel


def test_each_slot_counts_on_a_page_of_its_own_and_all_are_summed() -> None:
    panel = Panel.make(3)
    other = Panel(os.dup(panel.file), 3)  # as another process has it
    for slot, where in ((0, panel), (1, other), (2, other)):
        counters = where.counters(slot)
        counters.values[counters.cell("a")] += slot + 1
    last = panel.counters(2)
    last.values[last.cell("b")] += 7

    assert panel.total() == other.total() == {("a",): 6, ("b",): 7}
    assert panel.counters(1).read() == {("a",): 2}


def test_who_has_more_connections_than_another_is_told_so() -> None:
    panel = Panel.make(3)
    one, two = panel.share(0), Panel(os.dup(panel.file), 3).share(1)

    assert not one.has(5)  # nobody else is there
    assert not two.has(4)
    assert one.has(5)
    assert not one.has(4)
    assert two.has(5)
    panel.leave(0)
    assert not two.has(5)
