"""The conformance suite of the OCI distribution specification."""

from __future__ import annotations

import tomllib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.compat.support.programs import ProgramFailed, Shell
from tests.compat.support.server import USER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compat.conftest import Servers
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

DIFFERENCES = Path(__file__).with_name("conformance_differences.toml")
# What the suite leaves out unless it is asked for.
SWITCHES = {
    "OCI_API_BLOBS_DIGEST_HEADER": "true",
    "OCI_API_BLOBS_UPLOAD_CANCEL": "true",
    "OCI_API_MANIFESTS_DIGEST_HEADER": "true",
}


@dataclass(frozen=True)
class Outcome:
    """What a run of the suite found.

    Attributes:
        counts: the suite's own sums, by what it calls them.
        failed: the tests that failed, and how often: some run for several images.
        skipped: the same of those that it skipped.
    """

    counts: dict[str, int]
    failed: Counter[str]
    skipped: Counter[str]

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts.items())


def run_suite(server: Longshore, home: Path, version: str) -> Outcome:
    """Run the suite for one version of the specification, against two new repositories."""
    shell = Shell(
        home,
        {
            "OCI_REGISTRY": server.address,
            "OCI_TLS": "disabled",
            "OCI_REPO1": server.create_repository("conformance"),
            "OCI_REPO2": server.create_repository("conformance"),
            "OCI_USERNAME": USER,
            "OCI_PASSWORD": server.password(),
            "OCI_VERSION": version,
            "OCI_RESULTS_DIR": str(home),
            **SWITCHES,
        },
    )
    # After any failure it ends as if it had failed itself; its report tells what happened.
    with suppress(ProgramFailed):
        shell.run("oci-conformance")
    return read_report(home / "junit.xml")


def read_report(report: Path) -> Outcome:
    [suite] = ET.parse(report).iter("testsuite")  # noqa: S314 - written by our own run
    cases = [
        (case.attrib["status"], case.attrib["name"].removeprefix("OCI Conformance Test/"))
        for case in suite.iter("testcase")
    ]
    return Outcome(
        counts={
            name: int(suite.get(name, 0))
            for name in ("tests", "failures", "errors", "skipped", "disabled")
        },
        failed=Counter(name for status, name in cases if status in {"failure", "error"}),
        skipped=Counter(name for status, name in cases if status == "skipped"),
    )


def documented(compatibility: str, result: str) -> Counter[str]:
    """Return the tests that are known to have this result, and how often."""
    known: Counter[str] = Counter()
    for difference in tomllib.loads(DIFFERENCES.read_text())[compatibility]:
        known.update(difference.get(result, {}))
    return known


@pytest.mark.parametrize("variant", [("oci", "1.1"), ("oci", "dev"), ("ecr", "1.1")], ids="-".join)
def test_the_registry_conforms_but_for_the_documented_differences(
    servers: Servers,
    database_kind: str,
    variant: tuple[str, str],
    home: Path,
    record_property: Callable[[str, object], None],
) -> None:
    compatibility, version = variant
    outcome = run_suite(servers(database_kind, compatibility), home, version)
    record_property(
        "conformance",
        f"{database_kind}, compatibility {compatibility}, OCI_VERSION={version}: {outcome}",
    )
    assert outcome.counts["tests"] > 0
    assert outcome.failed == documented(compatibility, "failed")
    assert not (compatibility == "oci" and outcome.failed)
    assert outcome.skipped == documented(compatibility, "skipped")
