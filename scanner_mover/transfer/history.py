"""What is remembered of each study, as JSON in the state file, and back.

The records are those of `rules.records`. A value that is not what was written here is refused as a whole: the study
then begins anew, which asks the scanner for nothing that is here.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from scanner_mover.moment import Moment
from scanner_mover.rules.records import Sickness, StudyMemory

_LARGEST = 2**53


def to_json(memory: StudyMemory | Sickness) -> dict[str, Any]:
    """MEMORY as an object of the state file."""
    value = _plain(memory)
    assert isinstance(value, dict)
    return value


def study_from_json(value: Any) -> StudyMemory | None:
    """The memory in VALUE from a state file; None when it is not what `to_json` wrote."""
    memory: StudyMemory | None = _read_or_none(StudyMemory, value)
    return memory


def studies_from_json(values: Mapping[str, Any]) -> tuple[dict[str, StudyMemory], list[str]]:
    """The memory of each study in VALUES, and the studies whose memory is broken."""
    memory, broken = {}, []
    for uid, value in values.items():
        known = study_from_json(value)
        if known is None:
            broken.append(uid)
        else:
            memory[uid] = known
    return memory, broken


def sickness_from_json(value: Any) -> Sickness | None:
    """As `study_from_json`, for what is known of the scanner as a whole."""
    sick: Sickness | None = _read_or_none(Sickness, value)
    return sick


def _plain(value: Any) -> Any:
    if isinstance(value, Moment):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _read_or_none(kind: type, value: Any) -> Any:
    try:
        return _reader(kind)(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What reads a value as KIND, one of the types that the records have; it is made once for each type.

    It raises TypeError or ValueError for a value that is none.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        read = _reader(arguments[0])
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        read = _reader(arguments[0])
        return lambda value: tuple(map(read, _a(list, value)))
    if origin is not None and issubclass(origin, Mapping):
        read = _reader(arguments[1])
        return lambda value: {_a(str, key): read(one) for key, one in _a(dict, value).items()}
    if dataclasses.is_dataclass(kind):
        readers = {name: _reader(hint) for name, hint in typing.get_type_hints(kind).items()}
        return lambda value: _read_record(typing.cast(Callable[..., Any], kind), readers, value)
    return lambda value: _read_single(kind, value)


def _read_record(make: Callable[..., Any], readers: Mapping[str, Callable[[Any], Any]], value: Any) -> Any:
    given = _a(dict, value)
    return make(**{name: read(given[name]) for name, read in readers.items() if name in given})


def _read_single(kind: Any, value: Any) -> Any:
    if kind is Moment:
        boot, seconds = _a(list, value)
        return Moment(_a(str, boot), _number(seconds))
    if kind is float:
        return _number(value)
    if kind is int and isinstance(value, bool):
        raise TypeError(value)
    known = _a(kind, value)
    if kind is int and not -_LARGEST <= known <= _LARGEST:
        raise ValueError(value)
    return known


def _a(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(value)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    number = float(value)
    if not math.isfinite(number) or abs(number) > _LARGEST:
        raise ValueError(value)
    return number
