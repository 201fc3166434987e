"""
The converter that makes settings of tables, and what its errors mean to an operator.

cattrs walks the classes of `orion_twisted.core.settings` and gathers what goes wrong; three hooks
tell it how: one for whatever says how it is read (`Reads`), one for lists, one for tables.
"""

from collections.abc import Callable, Iterator, Mapping
from types import GenericAlias
from typing import Any, TypeAlias, get_args, get_origin

from attrs import AttrsInstance, evolve, fields, has
from cattrs import (
    BaseValidationError,
    ClassValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from orion_twisted.core.fields import Reads
from orion_twisted.core.problems import BadValue, near_miss, shown
from orion_twisted.core.settings import (
    DialInSettings,
    Limits,
    SessionSettings,
    Settings,
    Tenant,
    TenantLimits,
    TokenSettings,
)

Hook: TypeAlias = Callable[[Any, Any], Any]
Steps: TypeAlias = tuple[str | int, ...]
"""Where a setting is: keys of tables and indices of lists, from the outside in."""
Mistake: TypeAlias = tuple[Steps, BadValue]

EXAMPLES = {
    "hosts": 'such as hosts = ["shop.example.com"], or ["*"] for every host',
    "backend": 'such as backend = "tcp:127.0.0.1:7000"',
    "key_file": 'such as key_file = "keys/shop1"',
    "dial_in": 'such as dial_in = { token_file = "keys/orion-shop1" }',
    "token_file": 'such as token_file = "keys/orion-shop1"',
}
"""How the settings that have no default may look."""

PLACES: dict[type[AttrsInstance], str] = {
    Settings: "at the top, above the first [table]",
    Limits: "in [limits]",
    Tenant: "in [tenant.NAME]",
    TenantLimits: "in the limits of [tenant.NAME]",
    SessionSettings: "in the session of [tenant.NAME]",
    TokenSettings: "in the token of [tenant.NAME]",
    DialInSettings: "in the dial_in of [tenant.NAME]",
}
NEIGHBOURS: dict[type[AttrsInstance], tuple[type[AttrsInstance], ...]] = {
    Settings: (Limits, Tenant),
    Limits: (Settings, Tenant),
    Tenant: (TenantLimits, SessionSettings, TokenSettings, DialInSettings, Settings, Limits),
    TenantLimits: (Tenant, Limits, Settings),
    SessionSettings: (Tenant, Limits, Settings),
    TokenSettings: (Tenant, Limits, Settings),
    DialInSettings: (Tenant, Limits, Settings),
}
"""Where else a key may belong, likeliest first: in TOML it is easily below the wrong [table]."""

NO_TABLE: dict[type[AttrsInstance], str] = {
    Tenant: "a tenant is a table, [tenant.NAME]",
    DialInSettings: f"{EXAMPLES['dial_in']}; where that is, the dial_in at the top says",
}
"""How the tables are written that are easily taken for something else."""


def structure(raw: object) -> tuple[Settings | None, list[Mistake]]:
    """Return the settings in a table, or None and what is wrong with each of them by itself."""
    try:
        return _CONVERTER.structure(raw, Settings), []
    except (BaseValidationError, BadValue) as error:
        return None, list(_mistakes_in(error, ()))


def sound(kind: Any, raw: object) -> Any:
    """Return one setting by itself, or None if it is wrong: `structure` has said so then."""
    try:
        return _CONVERTER.structure(raw, kind)
    except (BaseValidationError, ValueError):
        return None


def keys_of(table: type[AttrsInstance]) -> list[str]:
    """Return the keys that a table may have."""
    names = [each.name for each in fields(table)]
    if table is Tenant:
        names.remove("name")
    return ["tenant" if name == "tenants" else name for name in names]


def _mistakes_in(error: BaseException, steps: Steps) -> Iterator[Mistake]:
    """Yield what a tree of cattrs' errors says, each with its place."""
    match error:
        case IterableValidationError():
            for inner, item in error.group_exceptions()[0]:
                yield from _mistakes_in(inner, (*steps, item.index))
        case ClassValidationError():
            noted, others = error.group_exceptions()
            for inner, attribute in noted:
                step = "tenant" if attribute.name == "tenants" else attribute.name
                yield from _mistakes_in(inner, (*steps, step))
            for inner in others:
                yield from _mistakes_in(inner, steps)
        case ForbiddenExtraKeysError():
            for key in error.extra_fields:
                yield (*steps, key), BadValue("unknown setting", _meant(key, error.cl))
        case KeyError():
            yield steps, BadValue("is missing", EXAMPLES.get(str(steps[-1])))
        case BadValue():
            yield steps, error
        case ValueError():
            yield steps, BadValue(str(error))
        case _:
            raise error


def _meant(key: str, table: type[AttrsInstance]) -> str | None:
    for neighbour in NEIGHBOURS[table]:
        if key in keys_of(neighbour):
            return f"it belongs {PLACES[neighbour]}"
    return near_miss(key, keys_of(table))


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _is_read(kind: Any) -> bool:
    return _reads(kind) is not None


def _reads(kind: Any) -> Reads | None:
    marks = getattr(kind, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Reads)), None)


def _value_hook(kind: Any, _: Converter) -> Hook:
    reads = _reads(kind)
    assert reads is not None  # the predicate has asked
    read = reads.read
    return lambda raw, _: read(raw)


def _list_hook(kind: Any, converter: Converter) -> Hook:
    elements: Any = GenericAlias(list, get_args(kind)[:1])

    def structure_list(raw: object, _: object) -> tuple[object, ...]:
        if not isinstance(raw, list | tuple):
            hint = f"write [{shown(raw)}]" if isinstance(raw, str) else None
            raise BadValue(f"expected a list, got {shown(raw)}", hint)
        return tuple(converter.structure(raw, elements))

    return structure_list


def _table_hook(table: Any, converter: Converter) -> Hook:
    structure_fields = make_dict_structure_fn(
        table,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=True,
        **OVERRIDES.get(table, {}),
    )

    def structure_table(raw: object, kind: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise BadValue(f"expected a table, got {shown(raw)}", NO_TABLE.get(table))
        return structure_fields(raw, kind)

    return structure_table


def _structure_tenants(raw: object, _: object) -> tuple[Tenant, ...]:
    """Make the tenants of the table of their tables, each named by its key."""
    if not isinstance(raw, Mapping):
        raise BadValue(f"expected a table, got {shown(raw)}", NO_TABLE[Tenant])
    tenants, errors = [], []
    for name, table in raw.items():
        try:
            tenants.append(evolve(_CONVERTER.structure(table, Tenant), name=name))
        except (BaseValidationError, BadValue) as error:
            error.add_note(IterableValidationNote("a tenant", name, Tenant))
            errors.append(error)
    if errors:
        raise IterableValidationError("tenants", errors, tuple)
    return tuple(tenants)


def _structure_one_or_several(raw: object, kind: Any) -> object:
    """Read a list that may be one string, too."""
    if isinstance(raw, str):
        return (_CONVERTER.structure(raw, get_args(kind)[0]),)
    return _CONVERTER.structure(raw, kind)


OVERRIDES: dict[Any, dict[str, Any]] = {
    Settings: {
        "tenants": override(rename="tenant", struct_hook=_structure_tenants),
        "dial_in": override(struct_hook=_structure_one_or_several),
    },
    Tenant: {
        "name": override(omit=True),
        "backend": override(struct_hook=_structure_one_or_several),
    },
}

_CONVERTER = Converter(detailed_validation=True, forbid_extra_keys=True)
_CONVERTER.register_structure_hook_factory(has, _table_hook)
_CONVERTER.register_structure_hook_factory(_is_list, _list_hook)
_CONVERTER.register_structure_hook_factory(_is_read, _value_hook)
