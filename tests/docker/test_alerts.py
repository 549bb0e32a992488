"""alerts.yaml, by Prometheus' own tool, and the metrics that it is about."""

import re
import subprocess
from pathlib import Path

from tests.docker.files import DOCKER
from tests.support.site import Site


def _promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["promtool", *arguments], cwd=DOCKER, check=False, capture_output=True, text=True)


def test_prometheus_understands_every_rule() -> None:
    done = _promtool("check", "rules", "alerts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    done = _promtool("test", "rules", "alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    tested = set(re.findall(r"alertname: (\w+)$", (DOCKER / "alerts.test.yaml").read_text(), flags=re.MULTILINE))
    assert tested == set(re.findall(r"- alert: (\w+)", (DOCKER / "alerts.yaml").read_text()))


def test_the_alerts_are_about_metrics_that_there_are(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.request("1.2.3")
    site.move()
    there = set(re.findall(r"^(scanner_mover_\w+)", site.mover("status", "--prometheus").stdout, flags=re.MULTILINE))
    expressions = re.findall(r"expr: (.*)$", (DOCKER / "alerts.yaml").read_text(), flags=re.MULTILINE)
    wanted = {name for text in expressions for name in re.findall(r"scanner_mover_\w+", text)}
    assert len(wanted) == 7
    assert wanted <= there
