"""What every part of the AST builder needs: spans, names, quoted text, mistakes inside tokens."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeVar

from pdp.diagnostics import Diagnostic, Source, Span
from pdp.lang import ast
from pdp.lang.patterns import PatternError

__all__ = ["BuilderBase", "Production", "Token", "present"]

T = TypeVar("T")


class Token(Protocol):
    """What the parser's tokens offer: they are strings that know where they stood."""

    type: str  # the terminal's name in the grammar
    start_pos: int
    end_pos: int

    def __str__(self) -> str: ...

    def startswith(self, prefix: str, /) -> bool:
        """As of the text."""
        ...


class Production(NamedTuple):
    """A production of the grammar as it was read, with every token: what the formatter lays out."""

    name: str
    children: "list[Production | Token]"


class _HasSpan(Protocol):
    @property
    def span(self) -> Span: ...


def present(items: Iterable[T | None]) -> tuple[T, ...]:
    """Those that could be read; a mistake inside the others has been reported."""
    return tuple(item for item in items if item is not None)


class BuilderBase:
    """State of one parse: the file and the mistakes found so far."""

    def __init__(self) -> None:
        self.source = Source(path="", text="")
        self.shift = 0
        self.diagnostics: list[Diagnostic] = []
        self.endings: dict[Span, Span] = {}  # where a deny stands, and the date at which it ends

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.source.path

    def begin(self, source: Source, *, shift: int) -> None:
        """Start over for another file; what is parsed begins `shift` characters before its text."""
        self.source = source
        self.shift = shift
        self.diagnostics = []
        self.endings = {}

    def span(self, token: Token) -> Span:
        """Where a token stood."""
        return Span(file=self.source.path, start=token.start_pos - self.shift, end=token.end_pos - self.shift)

    def join(self, first: _HasSpan | Span, last: _HasSpan | Span) -> Span:
        """From the start of one node to the end of another."""
        start = first if isinstance(first, Span) else first.span
        end = last if isinstance(last, Span) else last.span
        return Span(file=self.file, start=start.start, end=end.end)

    def name(self, token: Token) -> ast.Name:
        """A name; what it may be made of is checked where it is declared."""
        return ast.Name(text=str(token), span=self.span(token))

    @staticmethod
    def unquote(token: Token) -> str:
        r"""The text between quotes, `\"` and `\\` resolved."""
        text = str(token)[1:-1]
        return text.replace('\\"', '"').replace("\\\\", "\\") if "\\" in text else text

    def attempt(self, token: Token, make: Callable[[], T]) -> T | None:
        """What `make` reads from the token, or None and a diagnostic."""
        try:
            return make()
        except PatternError as error:
            self.report(error.code, error.message, self._within(token, error), error.help)
            return None

    def _within(self, token: Token, error: PatternError) -> Span:
        """Where in a token the mistake is; offsets in quoted text do not count the quotes."""
        whole = self.span(token)
        start, end = error.start, max(error.end, error.start + 1)
        if token.startswith('"'):
            raw = str(token)
            start, end = _written(raw, start), _written(raw, end)
        start = min(whole.start + start, whole.end - 1)
        return Span(file=whole.file, start=start, end=min(whole.end, max(whole.start + end, start + 1)))

    def report(self, code: str, message: str, span: Span, help_: str = "", label: str = "") -> None:
        """Add a mistake."""
        self.diagnostics.append(Diagnostic(code=code, message=message, span=span, help=help_, label=label))


def _written(quoted: str, offset: int) -> int:
    """Where a character of a text stands between its quotes: what is escaped takes two."""
    at = 1
    for _ in range(offset):
        at += 2 if quoted[at : at + 1] == "\\" else 1
    return at
