"""An assembly as it lies in an image: what the next version goes on from, without an object for each rule.

The cells and columns of services, the names of principals and the numbers of atoms are read where all
processes share them. What is as small as the patterns of principals stays as it was built.
"""

from dataclasses import replace

from pdp.compiler.numbers import AtomNumbers, Numbers
from pdp.image.principals import FlatPrincipals
from pdp.index.assemble import Assembly
from pdp.index.rule_index import RuleIndex

__all__ = ["at_rest"]


def at_rest(assembly: Assembly, read: RuleIndex, numbers: Numbers) -> tuple[RuleIndex, Assembly]:
    """The index and the assembly that the next version takes over.

    Args:
        assembly: As it was built.
        read: The same index, as it was read.
        numbers: Those that the index has, and maybe more; let go of the first so many.
    """
    principals = read.principals
    assert isinstance(principals, FlatPrincipals)  # noqa: S101 - as it was read
    rest = principals.numbers()
    numbers.atoms.rest_on(rest)
    table = assembly.principals.at_rest(principals.known, AtomNumbers(rest=rest))
    assert assembly.index is not None  # noqa: S101 - it was written
    index = replace(assembly.index, services=read.services, undeclared=read.undeclared, principals=table)
    return index, replace(assembly, index=index, principals=table)
