"""How often a pass tries a scanner that is off (R17)."""

from tests.support.site import Site

STUDY = "1.2.826.0.1.3680043.10.1561.17"

# Counts its associations in a file, and then cannot reach anybody.
REFUSED_FINDSCU = """
import sys
if "--version" in sys.argv:
    print("$dcmtk: findscu v3.6.7 2022-04-22 $")
    sys.exit()
with open({0!r}, "a") as file:
    file.write("x")
print("E: Association Request Failed: 0006:031c TCP Initialization Error: Connection refused", file=sys.stderr)
sys.exit(2)
"""


def test_a_scanner_that_is_off_costs_one_attempt_a_pass_after_the_first(tmp_path):
    site = Site(tmp_path, retries=1)
    attempts = tmp_path / "attempts"
    site.tool("findscu", REFUSED_FINDSCU.format(str(attempts)))
    site.request(STUDY)
    for made in ("xx", "xxx", "xxxx"):
        assert site.move().returncode == 5
        assert attempts.read_text() == made
