"""The page of `status --html`, read by an HTML parser: one piece, no script, nothing from outside."""

import re
from html.parser import HTMLParser

import pytest

from scanner_mover.display.html import page
from tests.unit.display.overviews import EVERYTHING, EVERYTHING_HOSTILE, STUCK, overview


class Read(HTMLParser):
    """The tags with their attributes, and the text of each block."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self.title = ""
        self._open: list[str] = []
        self._block = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)
        if tag == "pre":
            self._block = dict(attrs)["class"]
            self.blocks[self._block] = ""

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "pre" in self._open:
            self.blocks[self._block] += data
        elif "title" in self._open:
            self.title += data


@pytest.mark.parametrize("what", [EVERYTHING, EVERYTHING_HOSTILE, overview()], ids=["all", "hostile", "nothing"])
def test_it_is_one_piece_without_a_script_and_reloads_itself(what):
    text = page(what)
    read = Read(text)
    assert {tag for tag, _ in read.tags} <= {"html", "head", "meta", "title", "style", "body", "pre", "code", "span"}
    assert not {name for _, attributes in read.tags for name in attributes} - {
        *("lang", "charset", "name", "content", "http-equiv", "class")
    }
    assert ("meta", {"http-equiv": "refresh", "content": "30"}) in read.tags
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_it_shows_what_the_terminal_shows_narrow_and_wide_light_and_dark():
    read = Read(page(EVERYTHING))
    assert sorted(read.blocks) == ["narrow dark", "narrow light", "wide dark", "wide light"]
    for block in read.blocks.values():
        unfolded = re.sub(r"\s", "", block)
        assert STUCK.report.study_instance_uid in unfolded
        assert re.search(r"2of6imagesmissing,nexttry\d\d:\d\d,C-MOVEsaysSuccessbutnothingarrives", unfolded)
        assert "…" not in block
        assert "as of 20" in block
    assert read.title == "ABCD: needs attention"
    assert Read(page(overview())).title == "ABCD: nothing requested"


def test_each_class_has_its_rule():
    text = page(EVERYTHING)
    rules = set(re.findall(r"^\.(narrow|wide)\.(light|dark) \.(r\d+) \{", text, re.MULTILINE))
    for width, brightness, code in re.findall(r'<pre class="(\w+) (\w+)"><code>(.*?)</code>', text, re.DOTALL):
        used = set(re.findall(r'class="(r\d+)"', code))
        assert used
        assert {(width, brightness, one) for one in used} <= rules


def test_hostile_names_are_text():
    text = page(EVERYTHING_HOSTILE)
    assert "<script" not in text
    assert "\x1b" not in text
    for block in Read(text).blocks.values():
        assert re.sub(r"\s", "", block).count("<script>alert(1)</script>[red]x[/][/y]&amp;") >= 4
