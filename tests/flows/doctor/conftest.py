"""Shared by the tests of the checks: a project whose params can be changed, and findings by name."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flows.doctor.check import Finding
from hfi_core.params import Params


@pytest.fixture
def params_with(inside) -> Callable[..., Params]:
    """Change params of the project in which this process works: `params_with(publish__to="s3://bucket")`."""

    def change(**changes: Any) -> Params:
        inside.edit(**changes)
        return inside.params

    return change


def by_name(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by name; a failure always says how to fix it."""
    findings = list(findings)
    assert all(finding.remedy for finding in findings if not finding.ok)
    named = {finding.name: finding for finding in findings}
    assert len(named) == len(findings), findings
    return named


def verdicts(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the verdict of each finding, by name."""
    return {name: finding.mark for name, finding in by_name(findings).items()}
