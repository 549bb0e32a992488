"""Bytes as a bad disk, an editor or a stranger leaves them: a seeded change of what was whole."""

import random

_SPECIAL = (
    b"",
    b"\0",
    b"\xff" * 4,
    b"\n",
    b"[" * 200,
    b"9" * 400,
    b"1e400",
    b"null",
    b'"',
    b"\\",
    b"../../evil",
    b"\xed\xa0\x80",
)
_JSON = (
    b"null",
    b"-1",
    b"1e400",
    b"true",
    b"[]",
    b"{}",
    b'"evil"',
    b'"\\ud800"',
    b"99999999999999999999999",
    b"0.1",
    b'""',
)


def mutated(whole: bytes, numbers: random.Random, first: int = 0) -> bytes:
    """The bytes with one to four changes, none of them before `first`."""
    changed = bytearray(whole)
    for _ in range(numbers.randint(1, 4)):
        if len(changed) <= first:
            break
        begin = numbers.randrange(first, len(changed))
        end = min(len(changed), begin + numbers.choice((1, 1, 2, 4, 16, 256)))
        kind = numbers.randrange(8)
        if kind == 0:
            changed[begin] ^= 1 << numbers.randrange(8)
        elif kind == 1:
            changed[begin:end] = numbers.randbytes(end - begin)
        elif kind == 2:
            del changed[begin:end]
        elif kind == 3:
            changed[begin:begin] = changed[begin:end]
        elif kind == 4:
            del changed[begin:]
        elif kind == 5:
            changed[begin:end] = numbers.choice(_SPECIAL)
        elif kind == 6:
            changed[begin:begin] = numbers.choice(_SPECIAL)
        else:
            changed[begin:end] = bytes([numbers.choice((0, 0xFF))]) * (end - begin)
    return bytes(changed)


def mutated_json(whole: bytes, numbers: random.Random) -> bytes:
    """Of a JSON text: a value becomes another, or its bytes change."""
    if numbers.random() < 0.4:
        return mutated(whole, numbers)
    values = [n for n, byte in enumerate(whole) if byte in b":[," and n + 1 < len(whole)]
    begin = numbers.choice(values) + 1
    end = min((n for n in range(begin, len(whole)) if whole[n] in b",]}\n"), default=len(whole))
    return whole[:begin] + numbers.choice(_JSON) + whole[end:]
