"""The line for the person on call fits the cause."""

import pytest

from scanner_mover.config import Settings, Tls
from scanner_mover.failures import Detail, Failure, Kind, Level, Service, Title
from scanner_mover.scanner.advice import advice
from tests.support.ports import LOOPBACK

SETTINGS = Settings("ABCD", "config.json", "data", LOOPBACK, 104, "CONSOLE", "MOVER", 11112)
TLS = Tls("SCANNER_MOVER.tls", "key.pem", "certificate.pem", "authorities.pem")


def line(kind: Kind, detail: Detail = Detail(), **settings: object) -> str:  # noqa: B008  # a NamedTuple
    return advice(Failure(kind, "its words", detail), SETTINGS._replace(**settings))


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_names_the_scanner_its_words_and_what_to_do(kind):
    before, words, todo = line(kind).partition(" (its words): ")
    assert before.startswith(f"scanner CONSOLE at {LOOPBACK}:104 ")
    assert words and len(todo) > 20
    assert line(kind).isprintable()


def test_each_kind_has_a_line_of_its_own():
    alike = {Kind.STALLED: Kind.INTERRUPTED, Kind.ENDLESS: Kind.LIMIT}
    beginnings = {line(kind).partition(" (")[0] for kind in Kind}
    assert len(beginnings) == len(Kind) - len(alike)


@pytest.mark.parametrize(
    ("title", "named", "other"),
    [
        (Title.CALLED, "CONSOLE (SCANNERAETITLE)", "DICOMAETITLE"),
        (Title.CALLING, "MOVER (DICOMAETITLE)", "SCANNERAETITLE"),
    ],
)
def test_a_rejected_association_names_the_title_that_DCMTK_names(title, named, other):
    reported = line(Kind.REJECTED, Detail(title=title))
    assert named in reported and other not in reported


def test_a_rejected_association_without_a_reason_names_both_titles():
    reported = line(Kind.REJECTED)
    assert "CONSOLE (SCANNERAETITLE)" in reported and "MOVER (DICOMAETITLE)" in reported


def test_a_C_FIND_that_is_out_of_resources_is_no_receiving_port_problem():
    for level in Level:
        reported = line(Kind.OUT_OF_RESOURCES, Detail(Service.FIND, level))
        assert "port" not in reported.partition("its words")[2] and "number of answers" in reported
    assert "does not list the images" in line(Kind.OUT_OF_RESOURCES, Detail(Service.FIND, Level.IMAGE))


@pytest.mark.parametrize(("receive", "port"), [(True, "port 11112"), (False, "the port of the program that receives")])
@pytest.mark.parametrize("kind", [Kind.OUT_OF_RESOURCES, Kind.UNKNOWN_DESTINATION])
def test_a_C_MOVE_that_cannot_reach_us_names_the_port(kind, receive, port):
    assert port in line(kind, Detail(Service.MOVE, Level.SERIES), receive=receive)


def test_a_C_MOVE_of_single_images_that_fails_is_no_matter_of_the_port():
    reported = line(Kind.OUT_OF_RESOURCES, Detail(Service.MOVE, Level.IMAGE))
    assert "cannot send some images" in reported and "port" not in reported.partition("its words")[2]


def test_images_that_are_refused_are_named_by_class_or_syntax():
    assert "does not take RawDataStorage, 1.2.840.10008.1.2.4.57;" in line(
        Kind.PARTIAL, Detail(Service.MOVE, refused=("RawDataStorage", "1.2.840.10008.1.2.4.57"))
    )
    assert "room on its disk" in line(Kind.PARTIAL, Detail(Service.MOVE))


def test_a_stalled_C_MOVE_names_the_option():
    assert "SCANNER_MOVER.retrieve_stall_seconds" in line(Kind.STALLED, Detail(Service.MOVE))
    assert "retrieve_stall_seconds" not in line(Kind.STALLED, Detail(Service.FIND))


def test_a_scanner_that_hangs_up_may_want_TLS_or_another_certificate():
    assert "SCANNER_MOVER.tls;" in line(Kind.HUNG_UP)
    assert "certificate.pem (SCANNER_MOVER.tls.certificate)" in line(Kind.HUNG_UP, tls=TLS)
