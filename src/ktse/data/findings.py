"""What a check of a data set finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Severity = Literal["error", "warning", "note"]

_ORDER: Final = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault.

    Attributes:
        severity: error where training or scoring would stop, warning where it would suffer, note where something is
            unusual and dealt with.
        what: The fault, one sentence.
        where: Images, classes or files that have it.
        remedy: What to do about it.
    """

    severity: Severity
    what: str
    where: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes:
        name: Data set or path that was checked.
        images: Number of images of each split that could be opened.
        findings: All faults, errors first.
        classes: Names of the classes; empty where no split could be opened.
    """

    name: str
    images: dict[str, int]
    findings: tuple[Finding, ...]
    classes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that would stop training or scoring."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain lists and dictionaries."""
        return {
            "name": self.name,
            "images": self.images,
            "classes": list(self.classes),
            "findings": [asdict(finding) for finding in self.findings],
        }


def errors_first(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings with errors first and notes last, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))
