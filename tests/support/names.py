"""Names of files that are no StudyInstanceUID (R10)."""

NO_UIDS = [
    *["x", "README", ".1.2.3", "1.2.3.", "1.2.3~", "1.2.3.swp", "1..2", "-1.2", "+1", "1,2", "1.2a", "1 .2"],
    *["1.2 ", " 1.2", "1.2\n", "\n1.2", "1.2\t", "1.2\r", "1.2\\3", "１.２", "1.2٣", "²", "1.2\u200b", "1" * 65],
    *["a\nb", "it's", '"', "`touch pwned`", "$(touch pwned)", "; touch pwned", "| touch pwned", "*", "--help", "@list"],
    *["\udcff\udcfe", "\x1b[2J", "\u202e"],
]
