"""The mover's own time limits in the laboratory.

`-ta`, `-td` and the stall limit end what is too slow, and on a busy machine the scripted scanner, which shares its
process with the test, may need seconds to answer: with limits of a second or two a pass then ends with `cannot be
reached` though nothing is wrong. So they are long, and short only while a fault lasts that nothing but a limit ends.
"""

import contextlib
from collections.abc import Iterator

from tests.support.site import Site

_NAMES = ("connect_timeout_seconds", "response_timeout_seconds", "retrieve_stall_seconds")

LONG: dict[str, float] = dict.fromkeys(_NAMES, 120)
SHORT: dict[str, float] = dict.fromkeys(_NAMES, 4)


@contextlib.contextmanager
def short_limits(site: Site, *, when: bool = True) -> Iterator[None]:
    """The site's limits are short while the block runs, and long afterwards; `when` false: nothing is changed."""
    if when:
        site.config(**SHORT)
    yield
    if when:
        site.config(**LONG)
