"""Counters on pages: what one process counts, others read, and the next one goes on with."""

import mmap
from multiprocessing import get_context

import pytest

from pdp import counters as module
from pdp.counters import PAGE_BYTES, Counters, read, total


def test_cells_are_counted_by_name() -> None:
    counters = Counters()
    allowed, denied = (
        counters.cell("decisions", "shop", "allowed"),
        counters.cell("decisions", "shop", "denied"),
    )

    counters.values[allowed] += 2
    counters.values[denied] += 1

    assert counters.cell("decisions", "shop", "allowed") == allowed != denied
    assert counters.read() == {("decisions", "shop", "allowed"): 2, ("decisions", "shop", "denied"): 1}


def test_who_comes_next_goes_on_where_the_last_one_stopped() -> None:
    page = mmap.mmap(-1, PAGE_BYTES)
    first = Counters(page)
    first.values[first.cell("a")] = 2**64 - 2
    first.values[first.cell("é", "ü")] = 7

    second = Counters(page)
    second.values[second.cell("b")] += 1
    second.values[second.cell("a")] += 1

    assert second.read() == {("a",): 2**64 - 1, ("é", "ü"): 7, ("b",): 1}
    assert read(page) == second.read()


def test_pages_are_summed_by_name() -> None:
    one, two = mmap.mmap(-1, PAGE_BYTES), mmap.mmap(-1, PAGE_BYTES)
    for page, names in ((one, ("a", "b")), (two, ("b", "c"))):
        counters = Counters(page)
        for name in names:
            counters.values[counters.cell(name)] += 1

    assert total([one, two]) == {("a",): 1, ("b",): 2, ("c",): 1}


def count(page: mmap.mmap) -> None:
    counters = Counters(page)
    counters.values[counters.cell("a")] += 5


def test_another_process_counts_on_shared_memory() -> None:
    page = mmap.mmap(-1, PAGE_BYTES)
    child = get_context("fork").Process(target=count, args=(page,))
    child.start()
    child.join(30)

    assert read(page) == {("a",): 5}


def test_a_name_that_is_not_complete_is_not_read() -> None:
    """Its writer was killed between the name and its length."""
    page = mmap.mmap(-1, PAGE_BYTES)
    counters = Counters(page)
    counters.values[counters.cell("a")] += 1
    used = page[:8]
    counters.cell("b")
    page[:8] = used

    assert read(page) == {("a",): 1}
    again = Counters(page)
    assert again.values[again.cell("c")] == 0
    assert read(page) == {("a",): 1, ("c",): 0}


def test_there_is_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CELLS", 2)
    counters = Counters()
    counters.cell("a"), counters.cell("b")

    with pytest.raises(OverflowError):
        counters.cell("c")
    assert counters.cell("b") == 1
