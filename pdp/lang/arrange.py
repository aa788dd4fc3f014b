"""Where the lines of a statement may end, production by production.

The arranger turns productions of `grammar/policy.lark` into documents of
`pdp.lang.layout`. A statement stands on one line if it fits. Otherwise its clauses stand on
lines of their own, then its parts, and at last lists one item a line.

Productions that are not named here are set with single spaces.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeAlias, final

from pdp.lang.layout import SOFT, SPACE, Alone, Break, Doc, Group, Indent, Seq, Word
from pdp.lang.parser import Comment
from pdp.lang.patterns import instant
from pdp.lang.print_words import print_instant
from pdp.lang.tokens import Production, Token

__all__ = ["Arranger"]

Part: TypeAlias = Production | Token
_Parts: TypeAlias = Sequence[Part]

#: Words before the first item of productions that are a list behind some words.
_LEADING: Final = {
    "delegation": 3,  # delegate "directory" owns
    "may_assert": 2,
    "may_present": 4,  # may present kinds of
    "may_present_users": 4,  # may present user-token of
    "relaxation": 3,  # paths may have
    "supplies": 1,
    "supplying": 1,
    "users": 3,  # on behalf of
    "with_context": 1,
}
#: Lists that bring what separates them from the word before.
_LISTS: Final = frozenset({"principal_set", "service_names", "targets", "terms"})
_CLAUSES: Final = frozenset(
    {
        *("when", "unless", "valid_from", "until", "because", "owner", "named", "set_header"),
        *(
            "remove_header",
            "reuse",
            "may_assert",
            "may_present",
            "may_present_users",
            "may_explain",
            "supplies",
        ),
        *("with_context", "at", "by_default", "by_rule", "supplying", "supplying_nothing"),
    }
)
#: What begins a part of a rule, a callers entry, an invariant or a test's question.
_PARTS: Final = frozenset({"users", "on_behalf", "services", "method_request", "call_request"})
_PART_WORDS: Final = frozenset({"TO", "MAY", "FRONTS"})
_OFFSET: Final = re.compile(r"(.*T\d\d:\d\d(?::(?!00)\d\d)?)(?::00)?([+-](?!00:00)\d\d:\d\d)")


@final
class Arranger:
    """Makes documents, and puts each comment in by the token at whose offset it is found.

    Attributes:
        behind: Comments that stand behind the token that begins at the offset.
        alone: Comments on lines of their own before the token that begins at the offset;
            taken out once they are part of a document.
    """

    def __init__(self) -> None:
        self.behind: dict[int, Comment] = {}
        self.alone: dict[int, list[Comment]] = {}
        self._methods: dict[str, Callable[[_Parts], Doc]] = {
            **dict.fromkeys(("all_of", "any_of", "excluded", "path_except"), self._chain),
            **dict.fromkeys(("at", "observe", "until", "valid_from"), self._instant),
            **dict.fromkeys(("bound_list", "empty_group", "group", "in_values", "role"), self._braces),
            **dict.fromkeys(("bulk", "callers", "invariant", "rule", "test_case"), self._clauses),
            **dict.fromkeys(("days", "method_list"), self._hanging),
            **dict.fromkeys(("service_names", "targets", "terms"), self._list),
            "capture_operand": self._tight,
            "grouped": self._brackets,
            "principal_set": self._principal_set,
            "target": self._target,
        }

    def doc(self, node: Part) -> Doc:
        """The document of a statement, of a block up to its brace, or of the brace that ends it."""
        if not isinstance(node, Production):
            return self._word(node)
        leading = _LEADING.get(node.name, 0)
        if leading:
            return Seq((self._spaced(node.children[:leading]), self._list(node.children[leading:])))
        return self._methods.get(node.name, self._spaced)(node.children)

    # -- words -------------------------------------------------------------------------

    def _comments(self, token: Token) -> Doc:
        return Seq(tuple(Alone(comment.text) for comment in self.alone.pop(token.start_pos, ())))

    def _word(self, token: Token, text: str = "") -> Doc:
        comment = self.behind.get(token.start_pos)
        return Seq((self._comments(token), Word(text or str(token), comment.text if comment else "")))

    def _instant(self, children: _Parts) -> Doc:
        *words, last = children
        return Seq((self._spaced(words), SPACE, self._word(_token(last), _shortest(str(last)))))

    def _tight(self, children: _Parts) -> Doc:
        return Seq(tuple(self.doc(child) for child in children))

    def _spaced(self, children: _Parts) -> Doc:
        return self._joined(children, lambda _: SPACE)

    def _joined(self, children: _Parts, before: Callable[[Part], Doc]) -> Doc:
        """One after the other; `before` says what separates one from the one before it."""
        docs = [self.doc(child) for child in children[:1]]
        for previous, child in pairwise(children):
            if not (
                _is_list(child) or _is(child, "COMMA") or (_is(previous, "LBRACE") and _is(child, "RBRACE"))
            ):
                docs.append(before(child))
            docs.append(self.doc(child))
        return Seq(tuple(docs))

    # -- lists -------------------------------------------------------------------------

    def _items(self, children: _Parts) -> Doc:
        """Items with their commas; lines may end behind each."""
        return self._joined(children, lambda _: Break())

    def _list(self, children: _Parts) -> Doc:
        if len(children) == 1:
            return Seq((SPACE, self.doc(children[0])))
        return Group(Indent(Seq((Break(), self._items(children)))))

    def _hanging(self, children: _Parts) -> Doc:
        return Group(Indent(self._items(children)))

    def _principal_set(self, children: _Parts) -> Doc:
        terms, *exception = children
        if not exception:
            return self.doc(terms)
        return Seq((self.doc(terms), Group(Indent(Seq((Break(), self._spaced(exception)))))))

    def _target(self, children: _Parts) -> Doc:
        methods, path, *exception = children
        head = self._spaced([methods, path])
        return Group(Seq((head, Indent(Seq((Break(), self._spaced(exception))))))) if exception else head

    def _braces(self, children: _Parts) -> Doc:
        at = next(index for index, child in enumerate(children) if _is(child, "LBRACE"))
        words, inner, last = children[:at], children[at + 1 : -1], _token(children[-1])
        if (
            not inner
            and last.start_pos not in self.alone
            and _token(children[at]).start_pos not in self.behind
        ):
            return self._spaced(children)
        opening = self.doc(children[at])
        members = Indent(Seq((Break(), self._members(inner), self._comments(last))))
        return Seq((self._spaced(words), SPACE, Group(Seq((opening, members, Break(), self.doc(last))))))

    def _members(self, inner: _Parts) -> Doc:
        """What stands in braces; its lines end where those of the braces do."""
        if len(inner) != 1 or not isinstance(inner[0], Production):
            return self._items(inner)
        node = inner[0]
        if node.name == "principal_set":
            terms, *exception = node.children
            members = self._members([terms])
            return Seq((members, Break(), self._spaced(exception))) if exception else members
        return self._items(node.children) if _is_list(node) else self.doc(node)

    # -- conditions --------------------------------------------------------------------

    def _chain(self, children: _Parts) -> Doc:
        if len(children) == 1:
            return self.doc(children[0])
        return Group(Indent(self._links(children)))

    def _links(self, children: _Parts) -> Doc:
        """Tests or patterns with `and` or `or` between them; lines may end before each."""
        return self._joined(children, lambda child: Break() if _is(child, "AND", "OR") else SPACE)

    def _brackets(self, children: _Parts) -> Doc:
        opening, inner, closing = children
        while (
            isinstance(inner, Production) and inner.name in {"any_of", "all_of"} and len(inner.children) == 1
        ):
            inner = inner.children[0]
        is_chain = isinstance(inner, Production) and inner.name in {"any_of", "all_of"}
        first = self.doc(opening)
        body = self._links(inner.children) if is_chain and isinstance(inner, Production) else self.doc(inner)
        held = Indent(Seq((SOFT, body, self._comments(_token(closing)))))
        return Group(Seq((first, held, SOFT, self.doc(closing))))

    # -- statements --------------------------------------------------------------------

    def _clauses(self, children: _Parts) -> Doc:
        """A statement whose clauses go to lines of their own before its parts do."""
        first = next((index for index, child in enumerate(children) if _is_clause(child)), len(children))
        head = Group(self._joined(children[:first], lambda child: Break() if _is_part(child) else SPACE))
        if first == len(children):
            return Group(Indent(head))
        clauses = self._joined(children[first:], lambda child: Break() if _is_clause(child) else SPACE)
        return Group(Indent(Seq((head, Break(), clauses))))


def _is(part: Part, *kinds: str) -> bool:
    return not isinstance(part, Production) and part.type in kinds


def _is_list(part: Part) -> bool:
    return isinstance(part, Production) and part.name in _LISTS


def _is_part(part: Part) -> bool:
    return part.name in _PARTS if isinstance(part, Production) else part.type in _PART_WORDS


def _is_clause(part: Part) -> bool:
    # The `when` of an invariant is the only clause that has no production of its own.
    return part.name in _CLAUSES if isinstance(part, Production) else part.type == "WHEN"


def _token(part: Part) -> Token:
    if isinstance(part, Production):
        raise TypeError(part.name)
    return part


def _shortest(text: str) -> str:
    """An instant in its shortest form; an offset that the author wrote stays."""
    match = _OFFSET.fullmatch(text)
    return match[1] + match[2] if match else print_instant(instant(text))
