"""State files that no pass wrote, and that none may depend on."""

import json

from scanner_mover.site.state import VERSION

#: None of them is a state.
BROKEN: list[bytes] = [
    b"",
    b"{",
    b'{"version": 1',
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b"\0" * 100,
    b"[" * 200_000,
    b"9" * 5000,
    b"{}",
    json.dumps({"version": VERSION + 1, "requests": {}}).encode(),
    json.dumps({"version": str(VERSION)}).encode(),
]
