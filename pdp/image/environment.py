"""What names stand for, as a part: explanations compile conditions again, test by test."""

from typing import Final

import msgspec

from pdp.compiler.delegation import Ownership
from pdp.compiler.environment import Environment, ServiceInfo
from pdp.diagnostics import Span
from pdp.image.layout import Buffer, ImageError, Part, build_part
from pdp.lang import ast
from pdp.paths import Relaxation
from pdp.vocabulary import Millis

__all__ = ["ENVIRONMENT", "read_environment", "write_environment"]

#: The kind of these parts.
ENVIRONMENT: Final = 5


class _Service(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    observe_until: Millis | None
    hosts: tuple[str, ...]
    relaxations: int
    directory: str
    span: Span


class _Environment(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    trust_domains: dict[str, str]
    issuers: dict[str, str]
    groups: dict[str, ast.GroupDecl]
    roles: tuple[tuple[str, str, ast.RoleDecl], ...]
    conditions: tuple[tuple[str, str, ast.ConditionDecl], ...]
    attributes: dict[str, ast.AttributeType]
    services: dict[str, _Service]
    ownership: dict[str, dict[ast.OwnedKind, frozenset[str]]]
    damaged: frozenset[str]
    group_files: dict[str, ast.PrincipalSet]


_encode: Final = msgspec.msgpack.Encoder().encode
_decoder: Final = msgspec.msgpack.Decoder(_Environment)


def write_environment(environment: Environment) -> bytes:
    """The part of an environment."""
    content = _Environment(
        trust_domains=dict(environment.trust_domains),
        issuers=dict(environment.issuers),
        groups=dict(environment.groups),
        roles=tuple((*key, role) for key, role in environment.roles.items()),
        conditions=tuple((*key, condition) for key, condition in environment.conditions.items()),
        attributes=dict(environment.attributes),
        services={
            name: _Service(info.observe_until, info.hosts, info.relaxations.value, info.directory, info.span)
            for name, info in environment.services.items()
        },
        ownership={each: dict(owned) for each, owned in environment.ownership.directories.items()},
        damaged=environment.damaged,
        group_files=dict(environment.group_files),
    )
    return build_part(ENVIRONMENT, [_encode(content)])


def read_environment(buffer: Buffer, start: int, length: int) -> Environment:
    """The environment that a part holds.

    Raises:
        ImageError: It holds none.
    """
    try:
        found = _decoder.decode(Part(buffer, start, length, ENVIRONMENT, 1).raw(0))
        services = {
            name: ServiceInfo(
                observe_until=info.observe_until,
                hosts=info.hosts,
                relaxations=Relaxation(info.relaxations),
                directory=info.directory,
                span=info.span,
            )
            for name, info in found.services.items()
        }
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ImageError("what names stand for cannot be read") from error
    return Environment(
        trust_domains=found.trust_domains,
        issuers=found.issuers,
        groups=found.groups,
        roles={(scope, name): role for scope, name, role in found.roles},
        conditions={(scope, name): condition for scope, name, condition in found.conditions},
        attributes=found.attributes,
        services=services,
        ownership=Ownership(directories=found.ownership),
        damaged=found.damaged,
        group_files=found.group_files,
    )
