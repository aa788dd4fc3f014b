"""The names of groups, found again from what they hold.

Rows know sets of principals by their content: an edited group is another set, and groups that hold
the same are one. So a name is looked for only when a set has to be told to people.
"""

from typing import final

from pdp.compiler.atoms import SetAtom
from pdp.compiler.environment import Environment
from pdp.compiler.resolve import Resolver

__all__ = ["GroupNames"]


@final
class GroupNames:
    """Called with a set of principals, the group that holds exactly those, or None."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._resolver = Resolver(environment=environment)
        self._known: dict[SetAtom, str | None] = {}

    def __call__(self, atom: SetAtom) -> str | None:
        """What people call a set, if a group has just that."""
        if atom not in self._known:
            self._known[atom] = self._name(atom)
        return self._known[atom]

    def _name(self, atom: SetAtom) -> str | None:
        """The first group that is written with as many terms and comes to the same set."""
        sizes = len(atom.terms), len(atom.excluded)
        for name, declared in self._environment.groups.items():
            members = self._environment.group_files.get(name, declared.members)
            if (len(members.terms), len(members.excluded)) != sizes:
                continue
            if self._resolver.set_of(members) == atom:
                return f"group {name}"
        return None
