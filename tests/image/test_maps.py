"""Maps from text to numbers, small, large, and made by somebody who knows the hash."""

from collections.abc import Mapping
from itertools import count
from zlib import crc32

import pytest

from pdp.image import maps
from pdp.image.layout import Part, build_part
from pdp.image.maps import MAPS, Maps, MapsWriter


def written(*tables: Mapping[str, int]) -> Maps:
    writer = MapsWriter()
    for table in tables:
        writer.add(table.items())
    content = build_part(9, [b"before", *writer.sections()])
    return Maps(Part(b"xx" + content, 2, len(content), 9, 1 + MAPS), 1)


@pytest.mark.parametrize("size", [0, 1, 48, 49, 64, 65, 1000])
def test_every_entry_is_found_and_no_other(size: int) -> None:
    tables = [{f"{n}{table}é": n * 7 for n in range(size)} for table in "ab"]
    found = written(*tables)

    for number, table in enumerate(tables):
        assert dict(found.items(number)) == table
        assert [text for text, _ in found.items(number)] == list(table)
        find = found.find(number)
        assert (find is not None) is (size > 48)
        if find is not None:
            assert all(find(text) == value for text, value in table.items())
            assert [find(text) for text in ("", "0", "-1a", "1000aé", *tables[1 - number])] == [-1] * (
                size + 4
            )


def test_a_crowded_bucket_costs_its_logarithm() -> None:
    mask = 1023
    colliding = (text for n in count() if not crc32((text := f"x{n}").encode()) & mask)
    table = {next(colliding): n for n in range(1000)}
    asked = next(colliding)
    looked: list[object] = []

    class Counted(bytes):
        def __getitem__(self, at):  # type: ignore[no-untyped-def]
            looked.append(at)
            return super().__getitem__(at)

    writer = MapsWriter()
    writer.add(table.items())
    content = build_part(9, writer.sections())
    find = Maps(Part(Counted(content), 0, len(content), 9, MAPS), 0).find(0)
    assert find is not None
    assert len(table) > maps._CROWDED
    for text, value in table.items():
        looked.clear()
        assert find(text) == value
        assert len(looked) < 15
    assert find(asked) == -1
