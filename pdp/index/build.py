"""Rows to cells: a tree of patterns, then every state that a walk can reach.

The tree keeps a pattern that shares its place with no other as one pending entry. The states
are the subset construction over the tree; patterns that nothing competes with keep one state a
segment, or none at all (`Lone`), so that the result grows with the rules and not with their
combinations. Where rules do combine, the number of states is bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from pdp.compiler.numbers import EVERYONE_NUMBER
from pdp.compiler.rows import RowKind
from pdp.index.cells import (
    Affixes,
    CrowdedCellError,
    Leaf,
    LeafOrRow,
    Lone,
    State,
    Tail,
    TooManyCellsError,
    cells_bound,
    pack,
    unpack,
    wild_step,
)
from pdp.index.columns import Columns, PathPatterns
from pdp.lang import ast
from pdp.limits import MAX_CONDITIONAL_RULES_PER_CELL

__all__ = ["build_cells"]

_EXCEPTION: Final = -1  # in place of a row: the pattern only splits cells
_ANY: Final = ast.AnySegment()
_REST: Final = ast.RestSegments()


@final
@dataclass(slots=True)
class _Node:
    literals: "dict[str, _Node | _Pending]" = field(default_factory=dict)
    any_child: "_Node | None" = None
    affixes: "dict[tuple[bool, str], _Node]" = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)
    rests: list[int] = field(default_factory=list)
    tails: "dict[tuple[ast.Segment, ...], list[int]]" = field(default_factory=dict)

    def grows(self) -> bool:
        return bool(self.literals or self.affixes) or self.any_child is not None


#: A pattern that is alone from here on: its row, its segments, and how many are behind it; a `Lone` where
#: nothing but segments of any kind follow.
_Pending: TypeAlias = tuple[int, Sequence[ast.Segment], int] | Lone


def _insert(node: _Node, row: int, segments: Sequence[ast.Segment], at: int) -> None:
    while at < len(segments):
        segment = segments[at]
        at += 1
        match segment:
            case ast.LiteralSegment(text=text):
                child = node.literals.get(text)
                if child is None:
                    node.literals[text] = _alone(row, segments, at)
                    return
                if not isinstance(child, _Node):
                    child = node.literals[text] = _expanded(child)
                node = child
            case ast.RestSegments():
                if at == len(segments):
                    node.rests.append(row)
                else:
                    node.tails.setdefault(tuple(segments[at:]), []).append(row)
                return
            case ast.PrefixSegment(text=text):
                node = node.affixes.setdefault((True, text), _Node())
            case ast.SuffixSegment(text=text):
                node = node.affixes.setdefault((False, text), _Node())
            case _:
                if node.any_child is None:
                    node.any_child = _Node()
                node = node.any_child
    node.rows.append(row)


def _alone(row: int, segments: Sequence[ast.Segment], at: int) -> _Pending:
    """A pattern that is alone from a place on; small where it can be, since most are."""
    is_open = at < len(segments) and isinstance(segments[-1], ast.RestSegments)
    count = len(segments) - at - is_open
    if row != _EXCEPTION and all(
        isinstance(segment, ast.AnySegment | ast.Capture) for segment in segments[at : at + count]
    ):
        return pack(row, count, is_open=is_open)
    return row, segments, at


def _expanded(pending: _Pending) -> _Node:
    """A pending pattern as a node."""
    node = _Node()
    if isinstance(pending, int):
        row, segments, is_open = unpack(pending)
        _insert(node, row, (_ANY,) * segments + ((_REST,) if is_open else ()), 0)
    else:
        _insert(node, *pending)
    return node


def build_cells(columns: Columns, patterns: PathPatterns) -> State:
    """The root state for rows and their path patterns.

    Raises:
        TooManyCellsError: The patterns combine in too many ways.
        CrowdedCellError: Too many conditional rows stand in one place.
    """
    root = _Node()
    for row in range(len(columns.atoms)):
        _insert(root, row, patterns[row], 0)
    for detail in columns.details.values():
        for exception in detail.exceptions:
            _insert(root, _EXCEPTION, exception.pattern, 0)
    return _Builder(columns).state((root,), (), (), 0)


@final
class _Builder:
    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        exceptions = sum(len(detail.exceptions) for detail in columns.details.values())
        self.bound = cells_bound(len(columns.atoms) + exceptions)
        self.made: dict[tuple[object, ...], State] = {}
        self.keep: list[object] = []  # ids in the keys of `made` stay theirs

    def state(
        self, nodes: tuple[_Node, ...], rests: tuple[LeafOrRow, ...], tails: tuple[Tail, ...], depth: int
    ) -> State:
        """The state in which exactly these nodes of the tree are alive."""
        key = (depth, id(rests) if rests else 0, id(tails) if tails else 0, *sorted(map(id, nodes)))
        known = self.made.get(key)
        if known is not None:
            return known
        if len(self.made) >= self.bound:
            raise TooManyCellsError(self.bound)
        self.keep.append((nodes, rests, tails))
        state = self.made[key] = State()
        state.leaf = self._leaf([row for node in nodes for row in node.rows])
        state.rests = self._rests(nodes, rests)
        state.tails = self._tails(nodes, tails, depth)
        self._transitions(state, nodes, depth)
        state.wild = wild_step(state.literals, state.affixes)
        ends_here = any(node.rows for node in nodes)  # exceptions included: they split cells too
        state.sink = not (ends_here or state.literals or state.affixes or state.tails) and state.other is None
        return state

    def _rests(self, nodes: tuple[_Node, ...], inherited: tuple[LeafOrRow, ...]) -> tuple[LeafOrRow, ...]:
        leaf = self._leaf([row for node in nodes for row in node.rests])
        return inherited if leaf is None else (*inherited, leaf)

    def _tails(self, nodes: tuple[_Node, ...], inherited: tuple[Tail, ...], depth: int) -> tuple[Tail, ...]:
        found = [
            Tail(depth, segments, self._leaf(rows)) for node in nodes for segments, rows in node.tails.items()
        ]
        return (*inherited, *found) if found else inherited

    def _transitions(self, state: State, nodes: tuple[_Node, ...], depth: int) -> None:
        growing = [node for node in nodes if node.grows()]
        any_children = tuple(node.any_child for node in growing if node.any_child is not None)
        affixes: dict[tuple[bool, str], list[_Node]] = {}
        for node in growing:
            for key, child in node.affixes.items():
                affixes.setdefault(key, []).append(child)
        if any_children:
            state.other = self.state(any_children, state.rests, state.tails, depth + 1)
        if affixes:
            state.affixes = self._affixes(affixes, any_children, state, depth)
        literals: dict[str, State | Lone] = {}
        state.literals = literals
        for text in dict.fromkeys(text for node in growing for text in node.literals):
            literals[text] = self._literal(text, growing, any_children, affixes, state, depth)

    def _literal(
        self,
        text: str,
        growing: list[_Node],
        any_children: tuple[_Node, ...],
        affixes: dict[tuple[bool, str], list[_Node]],
        state: State,
        depth: int,
    ) -> State | Lone:
        found = [child for node in growing if (child := node.literals.get(text)) is not None]
        others = [] if text == "" else [*any_children, *_matching(affixes, text)]
        if len(found) == 1 and not others and not state.tails and isinstance(found[0], int):
            return found[0]
        nodes = [child if isinstance(child, _Node) else self._expand(child, growing, text) for child in found]
        return self.state((*nodes, *others), state.rests, state.tails, depth + 1)

    def _expand(self, pending: _Pending, growing: list[_Node], text: str) -> _Node:
        """A pending pattern as a node, in its parent's place so that its id stays."""
        node = _expanded(pending)
        for parent in growing:
            if parent.literals.get(text) is pending:
                parent.literals[text] = node
        return node

    def _affixes(
        self,
        affixes: dict[tuple[bool, str], list[_Node]],
        any_children: tuple[_Node, ...],
        state: State,
        depth: int,
    ) -> Affixes:
        prefixes = tuple(sorted((text for is_prefix, text in affixes if is_prefix), key=len, reverse=True))
        suffixes = tuple(
            sorted((text for is_prefix, text in affixes if not is_prefix), key=len, reverse=True)
        )
        states = {}
        for prefix in (None, *prefixes):
            for suffix in (None, *suffixes):
                if prefix is None and suffix is None:
                    continue
                alive = [
                    node
                    for (is_prefix, text), children in affixes.items()
                    if _implied(text, prefix if is_prefix else suffix, is_prefix=is_prefix)
                    for node in children
                ]
                states[prefix, suffix] = self.state(
                    (*alive, *any_children), state.rests, state.tails, depth + 1
                )
        return Affixes(prefixes, suffixes, states)

    def _leaf(self, rows: list[int]) -> LeafOrRow | None:
        kept = [row for row in rows if row != _EXCEPTION]
        if not kept:
            return None
        if len(kept) == 1:
            return kept[0]
        leaf = Leaf()
        by_atom: dict[int, list[int]] = {}
        conditional: dict[int, int] = {}
        for row in kept:
            atom = self.columns.atoms[row]
            by_atom.setdefault(atom, []).append(row)
            if row in self.columns.details:
                conditional[atom] = conditional.get(atom, 0) + 1
                if conditional[atom] > MAX_CONDITIONAL_RULES_PER_CELL:
                    raise CrowdedCellError(row)
            _summarise(leaf, row, self.columns)
        leaf.rows = {
            atom: tuple(found) if len(found) > 1 else found[0] for atom, found in sorted(by_atom.items())
        }
        return leaf


def _matching(affixes: dict[tuple[bool, str], list[_Node]], text: str) -> list[_Node]:
    return [
        node
        for (is_prefix, affix), children in affixes.items()
        if (text.startswith(affix) if is_prefix else text.endswith(affix))
        for node in children
    ]


def _implied(text: str, longest: str | None, *, is_prefix: bool) -> bool:
    """Whether a segment with this longest matching affix has that affix too."""
    if longest is None:
        return False
    return longest.startswith(text) if is_prefix else longest.endswith(text)


def _summarise(leaf: Leaf, row: int, columns: Columns) -> None:
    kind, mask = columns.kinds[row], columns.masks[row]
    if kind & RowKind.SHADOW:
        return
    detail = columns.details.get(row)
    if not kind & RowKind.DENY:
        leaf.allow |= mask
    reads_principal = columns.atoms[row] != EVERYONE_NUMBER or (detail is not None and detail.reads_principal)
    if kind & RowKind.RESTRICTS and reads_principal:
        leaf.specific |= mask
    if detail is not None and detail.timed:
        leaf.timed |= mask
