"""`status --html`: one page that needs nothing else, made by rich's exporter from the screen of the terminal.

The screen is rendered four times, for a narrow and a wide window in light and in dark colours, and CSS chooses. The
page has no script; the browser loads it again after a while. The exporter escapes each text.
"""

import html
import io
import itertools
import re

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from scanner_mover import clock
from scanner_mover.display.status_screen import screen
from scanner_mover.text import printable
from scanner_mover.transfer.overview import Overview

_RELOAD_SECONDS = 30
_COLUMNS = {"narrow": 48, "wide": 180}

_Rgb = tuple[int, int, int]


def _theme(background: str, foreground: str, normal: str, bright: str) -> TerminalTheme:
    """A theme from colours in hexadecimal: black, red, green, yellow, blue, magenta, cyan, white."""
    return TerminalTheme(
        _rgb(background), _rgb(foreground), [_rgb(one) for one in normal.split()], [_rgb(one) for one in bright.split()]
    )


def _rgb(hexadecimal: str) -> _Rgb:
    red, green, blue = bytes.fromhex(hexadecimal)
    return red, green, blue


_THEMES = {
    "light": _theme(
        "ffffff",
        "1f2328",
        "1f2328 b21820 116329 7d4e00 0950ae 822e8c 0a6070 59636e",
        "afb8c1 b21820 116329 7d4e00 0950ae 822e8c 0a6070 1f2328",
    ),
    "dark": _theme(
        "0d1117",
        "e6edf3",
        "484f58 ff7b72 56d364 e3b341 79c0ff d2a8ff 56d4dd e6edf3",
        "3d444d ff7b72 56d364 e3b341 79c0ff d2a8ff 56d4dd ffffff",
    ),
}

# The wide screen in a window that has room for it; the font of the narrow one grows and shrinks with the window.
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="{reload}">
<title>{title}</title>
<style>
body {{ margin: 16px; }}
pre {{ display: none; margin: 0; line-height: 1.4; white-space: pre; }}
pre, code {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace; }}
.narrow {{ font-size: clamp(9px, calc((100vw - 32px) / {narrow} / 0.62), 15px); }}
.wide {{ font-size: clamp(11px, calc((100vw - 32px) / {wide} / 0.62), 15px); }}
body {{ background: {light.background_color.hex}; color: {light.foreground_color.hex}; }}
@media (max-width: 1239px) {{ .narrow.light {{ display: block; }} }}
@media (min-width: 1240px) {{ .wide.light {{ display: block; }} }}
@media (prefers-color-scheme: dark) {{
body {{ background: {dark.background_color.hex}; color: {dark.foreground_color.hex}; }}
pre.light.light {{ display: none; }}
}}
@media (prefers-color-scheme: dark) and (max-width: 1239px) {{ .narrow.dark {{ display: block; }} }}
@media (prefers-color-scheme: dark) and (min-width: 1240px) {{ .wide.dark {{ display: block; }} }}
{rules}
</style>
</head>
<body>
{blocks}
</body>
</html>
"""


def page(overview: Overview) -> str:
    """The page of one project. There is no patient in it."""
    rules, blocks = [], []
    for (width, columns), (brightness, theme) in itertools.product(_COLUMNS.items(), _THEMES.items()):
        console = Console(
            record=True, file=io.StringIO(), width=columns, force_terminal=True, color_system="truecolor", _environ={}
        )
        console.print(screen(overview, console, whole=True))
        console.print(f"\nas of {clock.iso(overview.looked_at)[:19].replace('T', ' ')}", highlight=False)
        code = console.export_html(theme=theme, code_format="{code}", clear=False)
        style = console.export_html(theme=theme, code_format="{stylesheet}")
        rules.append(re.sub(r"^\.r", f".{width}.{brightness} .r", style, flags=re.MULTILINE))
        blocks.append(f'<pre class="{width} {brightness}"><code>{code.rstrip()}</code></pre>')
    return _PAGE.format(
        reload=_RELOAD_SECONDS,
        title=html.escape(f"{printable(overview.project)}: {_in_a_word(overview)}"),
        narrow=_COLUMNS["narrow"],
        wide=_COLUMNS["wide"],
        light=_THEMES["light"],
        dark=_THEMES["dark"],
        rules="\n".join(rules),
        blocks="\n".join(blocks),
    )


def _in_a_word(overview: Overview) -> str:
    """What the title of the page says, which is all that is seen of it among others."""
    attention = sum(request.needs_attention for request in overview.requests)
    if overview.state.faults or attention:
        return "needs attention"
    return f"{len(overview.requests)} requested" if overview.requests else "nothing requested"
