"""What the types of bodies leave unsaid in the OpenAPI document: bounds, patterns, values.

`msgspec` describes types. That a question names a service or a host, how a SPIFFE ID is written and
how long a path may be is checked by hand (`pdp.adapters.question`, which says by name what is wrong)
and described here by hand. INVARIANT: what these schemas allow is asked and answered, or refused for
a reason that lies in the policy set: a right, the type of an attribute, a host; or in evidence. What they
forbid is refused; `tests/fuzz/test_described.py` holds them against the running service.
"""

from typing import Any, Final

from pdp.identity.forwarded.forms import FORMS
from pdp.limits import (
    MAX_BATCH_ITEMS,
    MAX_CONTEXT_ATTRIBUTES,
    MAX_HOST_CHARS,
    MAX_PATH_BYTES,
    MAX_REUSE_ITEMS,
    MAX_REUSE_TIMES,
    MAX_REVISION_CHARS,
    MAX_SERVICE_NAME_CHARS,
    MAX_SPIFFE_ID_BYTES,
    MAX_TRUST_DOMAIN_BYTES,
)
from pdp.vocabulary import Effect, Reason

__all__ = ["refine"]

_Schema = dict[str, Any]

_NULL: Final[_Schema] = {"type": "null"}
_INT64: Final[_Schema] = {"type": "integer", "minimum": -(1 << 63), "maximum": (1 << 63) - 1}
_COUNT: Final[_Schema] = {"type": "integer", "minimum": 0}
#: JSON is refused that holds a NUL character anywhere.
_TEXT: Final[_Schema] = {"type": "string", "pattern": r"^[^\u0000]*$"}
_NO_CONTROLS: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_SEGMENT: Final = r"/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+"
_SPIFFE: Final[_Schema] = {
    "type": "string",
    "maxLength": MAX_SPIFFE_ID_BYTES,
    "pattern": f"^spiffe://[a-z0-9._-]{{1,{MAX_TRUST_DOMAIN_BYTES}}}(?:{_SEGMENT})+$",
}
_LABEL: Final = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS: Final[_Schema] = {
    "type": "string", "maxLength": MAX_HOST_CHARS, "pattern": rf"^{_LABEL}(?:\.{_LABEL})*\.?$",
}  # fmt: skip
_SERVICE: Final[_Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_SERVICE_NAME_CHARS,
    "pattern": _NO_CONTROLS,
}
# Not all of it: what looks like an address is one, in its usual form.
_HOST: Final[_Schema] = {
    "type": "string",
    "maxLength": MAX_HOST_CHARS + len(".:65535"),
    "pattern": rf"^(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\])(?::[1-9][0-9]{{0,4}})?$",
}
_REVISION: Final[_Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_REVISION_CHARS,
    "pattern": _NO_CONTROLS,
}
_TEXTS: Final[_Schema] = {"type": "array", "items": _TEXT}
_NAMED_TEXT: Final[_Schema] = {**_TEXT, "minLength": 1}
_DECISION: Final[_Schema] = {"type": "string", "enum": [effect.value for effect in Effect]}
_DECISION_ID: Final[_Schema] = {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
_REASON: Final[_Schema] = {"type": "string", "enum": [reason.value for reason in Reason]}


def _or_null(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, _NULL], "default": None}


def _names(field: str, other: str, schema: _Schema) -> _Schema:
    """One of two fields is given, and the other is not there or null."""
    return {"required": [field], "properties": {field: schema, other: _NULL}}


_PROPERTIES: Final[dict[str, _Schema]] = {
    "Question": {
        "principal": {"anyOf": [_SPIFFE, {"$ref": "#/components/schemas/Evidence"}]},
        "method": {"type": "string", "pattern": _NO_CONTROLS},
        "path": {**_TEXT, "maxLength": 2 * MAX_PATH_BYTES},
        "service": _or_null(_SERVICE),
        "host": _or_null(_HOST),
        "context": {
            "type": "object",
            "maxProperties": MAX_CONTEXT_ATTRIBUTES,
            "propertyNames": {"pattern": r"^(?!header\.)[^\u0000]*$|^header\.[a-z0-9-]+$"},
            "additionalProperties": {"anyOf": [_TEXT, _INT64, {"type": "boolean"}, _TEXTS, _NULL]},
            "default": {},
        },
        "at_least": _or_null(_REVISION),
    },
    "Evidence": {
        "spiffe": _SPIFFE,
        "dns": _DNS,
        "anonymous": {"type": "boolean", "enum": [True]},
        "jwt": _TEXT,
        "certificate": _TEXT,
    },
    "Forwarded": {
        "form": {"type": "string", "enum": list(FORMS)},
        "headers": {
            "type": "object",
            "propertyNames": _TEXT,
            "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
        },
    },
    "UserClaims": {
        "issuer": _NAMED_TEXT,
        "subject": _NAMED_TEXT,
        "groups": {**_TEXTS, "default": []},
        "jwt": _TEXT,
    },
    "BatchQuestion": {
        "questions": {
            "type": "array",
            "maxItems": MAX_BATCH_ITEMS,
            "items": {"$ref": "#/components/schemas/Question"},
        }
    },
    "ReuseBody": {
        "reused": {
            "type": "array",
            "maxItems": MAX_REUSE_ITEMS,
            "items": {"$ref": "#/components/schemas/Reused"},
        }
    },
    "Reused": {
        "decision_id": _DECISION_ID,
        "times": {"type": "integer", "minimum": 1, "maximum": MAX_REUSE_TIMES},
    },
    "Answer": {
        "decision": _DECISION,
        "reason": _REASON,
        "decision_id": _DECISION_ID,
        "age_seconds": _COUNT,
        "max_age_ms": _COUNT,
        "valid_until": {"anyOf": [{"type": "string", "format": "date-time"}, _NULL]},
        "reuse": {"type": "string", "enum": ["counted", "no"]},
    },
    "ShadowBody": {"decision": _DECISION, "reason": _REASON},
    "RevisionBody": {"number": {"type": "integer", "minimum": 1}},
    "ErrorDetail": {"code": {"type": "string", "pattern": "^[a-z0-9_]+$"}},
}
_WHOLE: Final[dict[str, _Schema]] = {
    "Question": {"oneOf": [_names("service", "host", _SERVICE), _names("host", "service", _HOST)]},
    "Evidence": {"minProperties": 1, "maxProperties": 1},
    "UserClaims": {
        "oneOf": [
            {"required": ["issuer", "subject"], "not": {"required": ["jwt"]}},
            {"required": ["jwt"], "maxProperties": 1},
        ]
    },
}


def refine(components: dict[str, Any]) -> None:
    """Say of these schemas what their types do not.

    Args:
        components: Schemas by name; those of the types above are among them. Changed in place.
    """
    for name, properties in _PROPERTIES.items():
        known = components[name]["properties"]
        known.update(properties)
    for name, whole in _WHOLE.items():
        components[name].update(whole)
