"""`Record`: what `typing.NamedTuple` is, for plain modules.

To import typing takes almost half as long as to start Python, and each NamedTuple compiles code of its own. mypy reads
a Record as a NamedTuple. A plain module.
"""

from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated
    from typing import NamedTuple as Record
else:

    class _RecordType(type):
        """Makes the fields of a record from its annotations, and their defaults from what stands behind them."""

        def __new__(mcs, name, bases, namespace):  # noqa: ANN001, ANN204
            made = super().__new__(mcs, name, bases, {**namespace, "__slots__": ()})
            fields = tuple(made.__annotations__) if bases != (tuple,) else ()
            made._fields = made.__match_args__ = fields
            made._field_defaults = {field: namespace[field] for field in fields if field in namespace}
            for number, field in enumerate(fields):
                setattr(made, field, property(itemgetter(number)))
            return made

    class Record(tuple, metaclass=_RecordType):
        """A tuple whose items have names: its class lists them, as that of a NamedTuple does."""

        def __new__(cls, *values, **named):  # noqa: ANN002, ANN003, ANN204, D102
            fields = cls._fields
            if named or len(values) != len(fields):
                known = cls._field_defaults | named
                missing = [field for field in fields[len(values) :] if field not in known]
                wrong = named.keys() - set(fields[len(values) :])
                if missing or wrong or len(values) > len(fields):
                    raise TypeError(f"{cls.__name__}: {missing} missing, {sorted(wrong)} unexpected or given twice")
                values = (*values, *[known[field] for field in fields[len(values) :]])
            return tuple.__new__(cls, values)

        def __getnewargs__(self):  # noqa: ANN204
            """What a copy is made of."""
            return tuple(self)

        def __repr__(self):  # noqa: ANN204
            shown = ", ".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
            return f"{type(self).__name__}({shown})"

        def _asdict(self):  # noqa: ANN202
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **named):  # noqa: ANN003, ANN202
            return type(self)(**(self._asdict() | named))

    class Annotated:
        """`Annotated[type, more]`, of which only `__metadata__`, what is MORE, is kept."""

        def __class_getitem__(cls, items):  # noqa: ANN001, ANN204
            made = cls()
            made.__metadata__ = items[1:]
            return made


__all__ = ["TYPE_CHECKING", "Annotated", "Record"]
