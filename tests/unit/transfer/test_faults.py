"""Which faults are the same in two passes."""

import pytest

from scanner_mover.transfer.faults import compare, unusable


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "/server/.pids/.moveFromScanner.work.jk1e_ek6/query4.dump cannot be written: No space left on device",
            "/server/.pids/.moveFromScanner.work.8bfyxcru/query12.dcm cannot be written: No space left on device",
        ),
        (
            "site/rejected cannot be written: Input/output error; what came stays in /s/.moveFromScanner.staging._i08",
            "site/rejected cannot be written: Input/output error; what came stays in /s/.moveFromScanner.staging.wbxe",
        ),
    ],
)
def test_the_name_of_a_folder_of_one_pass_makes_no_other_fault(one, other):
    reported, changes = compare([unusable(one)], [], settings=None, now=0)
    assert [change.text for change in changes] == [one]
    assert compare([unusable(other)], reported, settings=None, now=15) == (reported, [])


def test_what_else_differs_is_another_fault():
    reported, _ = compare([unusable("the folder /a cannot be written")], [], settings=None, now=0)
    _, changes = compare([unusable("the folder /b cannot be written")], reported, settings=None, now=15)
    assert len(changes) == 2
