"""A section of params that is one of our own kinds, or a class of another package that an entry point names."""

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import EntryPoint
from inspect import isabstract
from typing import Any

from pydantic import SerializationInfo, SerializerFunctionWrapHandler, ValidatorFunctionWrapHandler, WrapSerializer
from pydantic.functional_validators import WrapValidator

from hfi_core.params.values import Frozen


def validate_registered(
    registered: type[Frozen],
    tag: str,
    built_in: Collection[str],
    find: Callable[[], Mapping[str, EntryPoint]],
    duty: str,
) -> tuple[WrapValidator, WrapSerializer]:
    """Return how a section of another package is parsed by its own class and written, for the metadata of a field.

    Args:
        registered: the base class of the other packages' classes.
        tag: the key that names the kind.
        built_in: our own kinds, which no entry point can replace.
        find: finds the entry points by name.
        duty: the method that such a class must have.
    """

    def parse(raw: Any, parse_built_in: ValidatorFunctionWrapHandler) -> Any:
        name = raw.get(tag) if isinstance(raw, dict) else None
        if isinstance(raw, registered):
            return raw
        if not isinstance(name, str) or name in built_in or name not in (points := find()):
            return parse_built_in(raw)
        try:
            cls = points[name].load()
        except Exception as error:  # another package's import may fail in any way
            raise ValueError(
                f"the {tag} {name!r} of another package ({points[name].value}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not (isinstance(cls, type) and issubclass(cls, registered)) or isabstract(cls):
            raise ValueError(
                f"{points[name].value} is not a class of hfi_core.params.{registered.__name__} with "
                f"{'an' if duty[0] in 'aeiou' else 'a'} `{duty}`"
            )
        return cls.model_validate(raw)

    def dump(value: Any, dump_built_in: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
        return value.model_dump(mode=info.mode) if isinstance(value, registered) else dump_built_in(value)

    return WrapValidator(parse), WrapSerializer(dump)
