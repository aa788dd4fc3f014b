"""What no file of text provokes: what lies on a disk, sets past a bound, nothing at all.

Each is built here, in a directory of its own, and comes to what a policy author is shown.
"""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import pytest

from pdp import limits
from pdp.analysis import invariants
from pdp.diagnostics import render
from pdp.index import build, principal_states
from pdp.limits import MAX_CONDITIONAL_RULES_PER_CELL
from pdp.store import bundle
from pdp.store.bundle import read_bundle
from pdp.store.loader import Loader
from pdp.store.snapshot import Loaded
from tests.docs.sets import NOW, load

__all__ = ["SITUATIONS"]

_GOOD: Final = b"language 1\n"
_SET: Final = Path("policies")


def shown(loaded: Loaded) -> str:
    return "\n".join(render(diagnostic, loaded.sources) for diagnostic in loaded.diagnostics)


def said_of_the_directory() -> str:
    return shown(Loader().load(read_bundle(_SET), now=NOW))


def write(names: Iterable[str], content: bytes = _GOOD) -> None:
    for name in names:
        (_SET / name).parent.mkdir(parents=True, exist_ok=True)
        (_SET / name).write_bytes(content)


# -- what lies on a disk ---------------------------------------------------------------


def no_directory(_: pytest.MonkeyPatch) -> str:
    return said_of_the_directory()


def no_policy_directory(_: pytest.MonkeyPatch) -> str:
    _SET.write_bytes(_GOOD)
    return said_of_the_directory()


def unreadable_file(patch: pytest.MonkeyPatch) -> str:
    """As somebody who may not read it: whoever runs the tests may be root."""
    write(["a.policy"])

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    patch.setattr(bundle, "_open_beneath", refuse)
    return said_of_the_directory()


def no_files(_: pytest.MonkeyPatch) -> str:
    write(["directory.policy/a.policy"])
    os.mkfifo(_SET / "pipe.policy")
    return said_of_the_directory()


def links_out(_: pytest.MonkeyPatch) -> str:
    write(["a.policy"])
    (_SET / "outside").symlink_to("/usr")
    (_SET / "passwd.policy").symlink_to("/etc/passwd")
    return said_of_the_directory()


def links_to_nothing(_: pytest.MonkeyPatch) -> str:
    write(["a.policy"])
    (_SET / "again").symlink_to(".")
    (_SET / "gone.policy").symlink_to("nowhere")
    (_SET / "itself.policy").symlink_to("itself.policy")
    return said_of_the_directory()


def names(_: pytest.MonkeyPatch) -> str:
    write(["a.policy", "b\\c.policy", "d\u202e.policy", "deny.Policy"])
    return said_of_the_directory()


def large_file(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(limits, "MAX_FILE_BYTES", len(_GOOD))
    write(["a.policy"])
    write(["b.policy"], _GOOD + b"\n")
    return said_of_the_directory()


def large_set(patch: pytest.MonkeyPatch) -> str:
    write(["a.policy", "b.policy", "c/d.policy"])
    said = []
    for bound, most in (("MAX_FILES", 2), ("MAX_SET_BYTES", 3 * len(_GOOD) - 1), ("MAX_TREE_ENTRIES", 3)):
        with patch.context() as lowered:
            lowered.setattr(limits, bound, most)
            said.append(said_of_the_directory())
    return "\n".join(said)


def moving_files(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(limits, "MAX_READ_TRIES", 2)
    write(["a.policy"])
    opened = bundle._open_beneath

    def write_meanwhile(root: str, relative: str) -> int:
        write(["a.policy"])
        return opened(root, relative)

    patch.setattr(bundle, "_open_beneath", write_meanwhile)
    return said_of_the_directory()


# -- sets past a bound -----------------------------------------------------------------

_CROSSED: Final = ("/*/b/*/*/e/**", "/a/*/c/*/*/f", "/*/*/c/d/*/**", "/a*/*/*/d/e", "/*/b*/**")


def undecided(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(invariants, "MAX_INVARIANT_STEPS", 1)
    text = (
        'language 1\n\ntrust domain prod = "prod.example.org"\n\n'
        "service files {\n    allow prod/** to GET /x\n    deny prod/ns/** to GET /x\n}\n\n"
        "never prod/ns/* may any /* on files\n"
    )
    return shown(load({"a.policy": text}))


def many_cells(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(build, "cells_bound", lambda _: 40)
    rules = "".join(f"    allow anyone to GET {path}\n" for path in _CROSSED)
    text = f"language 1\n\nservice plain {{\n    allow anyone to GET /\n}}\n\nservice files {{\n{rules}}}\n"
    return shown(load({"a.policy": text}))


def many_cells_on_any_service(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(build, "cells_bound", lambda _: 40)
    rules = "".join(f"deny anyone to GET {path} on any service\n" for path in _CROSSED)
    return shown(load({"a.policy": f"language 1\n\n{rules}"}))


def many_principals(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(principal_states, "cells_bound", lambda _: 10)
    rules = "".join(
        f"    allow prod{path.replace('a*', '*').replace('b*', '*')} to GET /\n" for path in _CROSSED
    )
    text = f'language 1\n\ntrust domain prod = "prod.example.org"\n\nservice files {{\n{rules}}}\n'
    return shown(load({"a.policy": text}))


def nothing(_: pytest.MonkeyPatch) -> str:
    return shown(load({}))


def crowded(_: pytest.MonkeyPatch) -> str:
    rules = "".join(
        f'    allow anyone to GET /x when header.x-a == "r{number}"\n'
        for number in range(MAX_CONDITIONAL_RULES_PER_CELL + 1)
    )
    return shown(load({"a.policy": f"language 1\n\nservice s {{\n{rules}}}\n"}))


#: By the name of the golden file, which begins with the code.
SITUATIONS: Final[dict[str, Callable[[pytest.MonkeyPatch], str]]] = {
    "PDP503-steps": undecided,
    "PDP901-no-directory": no_directory,
    "PDP901-no-policy-directory": no_policy_directory,
    "PDP902-unreadable-file": unreadable_file,
    "PDP903-no-files": no_files,
    "PDP904-links-out": links_out,
    "PDP905-links-to-nothing": links_to_nothing,
    "PDP906-names": names,
    "PDP907-large-file": large_file,
    "PDP908-large-set": large_set,
    "PDP909-moving-files": moving_files,
    "PDP917-many-cells": many_cells,
    "PDP917-many-cells-on-any-service": many_cells_on_any_service,
    "PDP917-many-principals": many_principals,
    "PDP918-nothing": nothing,
    "PDP919-crowded": crowded,
}
