"""A Record behaves as the NamedTuple that mypy takes it for."""

import copy
import pickle
from typing import NamedTuple

import pytest

from scanner_mover.record import Record


class Ours(Record):
    """One with and one without a default."""

    first: int
    second: str = "b"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


class Theirs(NamedTuple):
    first: int
    second: str = "b"


@pytest.mark.parametrize(
    ("values", "named"), [((1,), {}), ((1, "c"), {}), ((), {"first": 1}), ((1,), {"second": "c"}), ((None, None), {})]
)
def test_it_is_made_as_one(values, named):
    ours, theirs = Ours(*values, **named), Theirs(*values, **named)
    assert tuple(ours) == tuple(theirs)
    assert (ours.first, ours.second, ours[-1]) == (theirs.first, theirs.second, theirs[-1])
    assert ours._asdict() == theirs._asdict()
    assert repr(ours).removeprefix("Ours") == repr(theirs).removeprefix("Theirs")
    assert hash(ours) == hash(theirs)


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"first": 1}), ((1,), {"third": 1}), ((), {"second": "c"})],
)
def test_what_a_named_tuple_refuses_it_refuses(values, named):
    for kind in (Ours, Theirs):
        with pytest.raises(TypeError):
            kind(*values, **named)


def test_its_class_tells_the_same():
    assert (Ours._fields, Ours._field_defaults, Ours.__match_args__) == (
        Theirs._fields,
        Theirs._field_defaults,
        Theirs.__match_args__,
    )


def test_it_is_replaced_copied_and_matched():
    one = Ours(1)
    assert one._replace(second="c") == Ours(1, "c") and type(one._replace()) is Ours
    with pytest.raises(TypeError):
        one._replace(third=1)
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    match one:
        case Ours(first, second=second):
            assert (first, second, one.both) == (1, "b", "1b")


def test_nothing_in_it_can_be_set():
    one = Ours(1)
    for name in ("first", "third"):
        with pytest.raises(AttributeError):
            setattr(one, name, 2)
