"""Request paths, methods and hosts: each read in exactly one way, or refused.

This package is the only place where a request target is read. Whoever holds a
`CanonicalPath` may split it at `/` and compare the segments byte for byte. Which paths a
rule means is the business of `pdp.lang.patterns`; that a refused path is a denied one,
and that *every* reading of a relaxed path must be allowed, the engine's.

The rule is "canonical or refuse", never "repair": where two servers would disagree about
which resource a target names, there is no reading of it. `docs/paths.md` has the reasons
and the published bypasses; `tests/corpus/paths.jsonl` has the cases, for any PDP to use.

INVARIANT: a canonical path is a function of the segments that a server obtains by decoding
the target once. Two spellings of one resource never become two canonical paths, or the
second spelling would slip past a deny that names the first.
"""

from pdp.paths.hosts import canonical_host
from pdp.paths.methods import method_problem, overridden_by_query
from pdp.paths.problems import AmbiguousHostError, AmbiguousPathError, HostProblem, MethodProblem, PathProblem
from pdp.paths.targets import (
    CanonicalPath,
    Relaxation,
    canonical,
    is_canonical_segment,
    plainly_canonical,
    readings,
)

__all__ = [
    "AmbiguousHostError",
    "AmbiguousPathError",
    "CanonicalPath",
    "HostProblem",
    "MethodProblem",
    "PathProblem",
    "Relaxation",
    "canonical",
    "canonical_host",
    "is_canonical_segment",
    "method_problem",
    "overridden_by_query",
    "plainly_canonical",
    "readings",
]
