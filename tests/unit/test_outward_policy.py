"""The policy that every installation has from the start."""

from importlib import import_module

from sparkops.domains.policies.cases import run_cases
from sparkops.domains.policies.document import parse_policy, read_policy

MIGRATION = import_module("sparkops.migrations.versions.0012_labels")


def test_its_text_says_what_its_document_does() -> None:
    assert parse_policy(MIGRATION.SOURCE).document == MIGRATION.DOCUMENT


def test_its_tests_pass_and_reach_all_of_its_rules() -> None:
    report = run_cases(read_policy(MIGRATION.DOCUMENT))
    assert report.failed == ()
    assert report.never_matched == ()
