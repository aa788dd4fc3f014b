"""The compiled policy set: immutable, shared by every decision under one revision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from pdp.compiler.environment import Environment
from pdp.compiler.rule_texts import RuleText
from pdp.index.cells import State
from pdp.index.columns import Columns
from pdp.index.principals import Principals
from pdp.lang.ast import AttributeType
from pdp.paths import Relaxation
from pdp.vocabulary import Millis

__all__ = ["RuleIndex", "ServiceIndex"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceIndex:
    """One service's rules.

    Attributes:
        name: The service; empty in the index of the services that are not declared.
        declared: Whether the policy set declares it.
        root: Where every walk begins.
        columns: The rows.
        observe_until: Until when a default deny is let pass, or None.
        relaxations: Further readings of paths.
        relaxed: Whether there are any.
        plain: Whether a walk alone decides: declared, not observed, one reading of each path.
    """

    name: str
    declared: bool
    root: State
    columns: Columns
    observe_until: Millis | None
    relaxations: Relaxation
    relaxed: bool
    plain: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RuleIndex:
    """Everything a decision looks up.

    Attributes:
        services: Declared services by name.
        undeclared: What holds for every other service.
        principals: Who is in which atoms.
        methods: Bit of each method that some rule names.
        hosts: Service of each host name.
        attributes: Types of the declared attributes.
        declared: What names stand for, for explanations.
    """

    services: Mapping[str, ServiceIndex]
    undeclared: ServiceIndex
    principals: Principals
    methods: Mapping[str, int]
    hosts: Mapping[str, str]
    attributes: Mapping[str, AttributeType]
    declared: Callable[[], Environment]

    @property
    def environment(self) -> Environment:
        """What names stand for; reading it may take a while the first time."""
        return self.declared()

    def service(self, name: str) -> ServiceIndex:
        """The index of a service, declared or not."""
        return self.services.get(name, self.undeclared)

    def rule(self, service: str, rule: int) -> RuleText:
        """What people are told about a rule that a decision about this service names."""
        return self.service(service).columns.text(rule)
