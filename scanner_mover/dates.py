"""Turns dates as people write them into what a C-FIND matches (DICOM PS3.4 section C.2.2.2.5)."""

import datetime
import re

_DAYS = re.compile(r"([0-9]{1,4})d")
_ONE = r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}"
_RANGE = re.compile(rf"({_ONE})?-({_ONE})?")


def date_range(text: str, today: datetime.date) -> str:
    """TEXT as a value of VR DA: `20260131`, or a range `20260101-20260131`, either end of which may be missing.

    TEXT is `today`, `yesterday`, `7d` (today and the seven days before), `2026-01-31`, `20260131`, or a range of two
    dates. Raises ValueError for anything else, and for a day that does not exist.
    """
    if text == "today":
        return _dicom(today)
    if text == "yesterday":
        return _dicom(today - datetime.timedelta(days=1))
    if days := _DAYS.fullmatch(text):
        return f"{_dicom(today - datetime.timedelta(days=int(days[1])))}-{_dicom(today)}"
    if re.fullmatch(_ONE, text):
        return _dicom(_date(text))
    span = _RANGE.fullmatch(text)
    if span is None or not (span[1] or span[2]):
        raise ValueError(f"{text!r} is no date: write today, yesterday, 7d, 2026-01-31 or 20260101-20260131")
    first, last = (_date(one) if one else None for one in span.groups())
    if first and last and first > last:
        raise ValueError(f"{text!r} ends before it begins")
    return f"{_dicom(first) if first else ''}-{_dicom(last) if last else ''}"


def _date(text: str) -> datetime.date:
    digits = text.replace("-", "")
    try:
        return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise ValueError(f"{text!r} is no day of the calendar") from None


def _dicom(date: datetime.date) -> str:
    return f"{date.year:04d}{date.month:02d}{date.day:02d}"
