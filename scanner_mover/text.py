"""Text that is safe to show. A plain module."""

# More of a line of another program helps nobody; a broken one may print a line of a million characters.
_MOST_CHARACTERS_OF_A_LINE = 300


def printable(text: str) -> str:
    """TEXT with every character that could break a line or a terminal written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def beginning(line: str) -> str:
    """The beginning of a LINE that another program printed, or all of it when it is not long."""
    return line if len(line) <= _MOST_CHARACTERS_OF_A_LINE else f"{line[:_MOST_CHARACTERS_OF_A_LINE]}…"


def counted(number: int, one: str, several: str) -> str:
    """NUMBER with the word for it: `1 study`, `2 studies`."""
    return f"{number} {one if number == 1 else several}"


def in_seconds(seconds: float) -> str:
    """SECONDS, rounded, with the word for them: `1 second`."""
    return counted(round(seconds), "second", "seconds")


def out_of(number: int, total: int | None) -> str:
    """NUMBER of TOTAL: `3 of 6`, or `3` where the total is not known."""
    return str(number) if total is None else f"{number} of {total}"


def images_of(number: int, total: int | None = None) -> str:
    """NUMBER images of TOTAL: `3 of 6 images`, or `3 images` where the total is not known."""
    return f"{out_of(number, total)} {'image' if (number if total is None else total) == 1 else 'images'}"
