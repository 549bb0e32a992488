"""What is remembered of each study, as JSON in the state file, and back.

The records are those of `rules.records`. A value that is not what was written here is refused as a whole: the study
then begins anew, which asks the scanner for nothing that is here. A plain module: `status` reads it.
"""

from __future__ import annotations

import enum
import functools
import math
import types
from collections.abc import Mapping

from scanner_mover.moment import Moment
from scanner_mover.record import TYPE_CHECKING, Record
from scanner_mover.rules.records import Silence, StudyMemory

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LARGEST = 2**53


def to_json(memory: StudyMemory | Silence) -> dict[str, Any]:
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


def silence_from_json(value: Any) -> Silence | None:
    """As `study_from_json`, for what is known of the scanner as a whole."""
    silence: Silence | None = _read_or_none(Silence, value)
    return silence


def _plain(value: Any) -> Any:
    if isinstance(value, Moment):
        return list(value)
    if isinstance(value, Record):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.value if isinstance(value, enum.Enum) else value


def _read_or_none(kind: type, value: Any) -> Any:
    try:
        return _reader(kind)(value)
    except (TypeError, ValueError, LookupError, OverflowError, RecursionError):
        return None


@functools.cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What reads a value as KIND, one of the types that the records have; it is made once for each type.

    It raises TypeError or ValueError for a value that is not of that type.
    """
    arguments: tuple[Any, ...] = getattr(kind, "__args__", ())
    if isinstance(kind, types.UnionType):
        read = _reader(arguments[0])
        return lambda value: None if value is None else read(value)
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        read = _reader(arguments[0])
        return lambda value: tuple(map(read, _a(list, value)))
    if origin is Mapping:
        read = _reader(arguments[1])
        return lambda value: {_a(str, key): read(one) for key, one in _a(dict, value).items()}
    if kind in _SINGLE:
        return _SINGLE[kind]
    if issubclass(kind, enum.Enum):
        return lambda value: kind(value)
    defaults = kind._field_defaults
    # Nothing that a file holds is the default of a field that has none.
    fields = [(name, _reader(hint), defaults.get(name, kind)) for name, hint in kind.__annotations__.items()]
    return lambda value: kind(*_values(fields, defaults | _a(dict, value)))


def _values(fields: list[tuple[str, Callable[[Any], Any], Any]], given: Mapping[str, Any]) -> list[Any]:
    """The values of a record in what is GIVEN. The default, which most of them are, is right as it is."""
    return [one if (one := given[name]) is default else read(one) for name, read, default in fields]


def _moment(value: Any) -> Moment:
    boot, seconds = _a(list, value)
    return Moment(_a(str, boot), _number(seconds))


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    number: int = _a(int, value)
    if not -_LARGEST <= number <= _LARGEST:
        raise ValueError(value)
    return number


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


# What reads each type that is no record.
_SINGLE: dict[Any, Callable[[Any], Any]] = {
    str: functools.partial(_a, str),
    bool: functools.partial(_a, bool),
    int: _whole,
    float: _number,
    Moment: _moment,
}
