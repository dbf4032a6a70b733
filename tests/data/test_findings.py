from __future__ import annotations

from ktse.data.findings import CheckReport, Finding, errors_first


def test_errors_come_first_and_notes_last() -> None:
    findings = [Finding(severity, what, (), "") for severity, what in
                (("note", "a"), ("warning", "b"), ("error", "c"), ("warning", "d"), ("error", "e"))]  # fmt: skip
    assert [finding.what for finding in errors_first(findings)] == ["c", "e", "b", "d", "a"]
    report = CheckReport("x", {"train": 3}, tuple(findings), ("cat",))
    assert [finding.what for finding in report.errors] == ["c", "e"]
    assert report.to_json()["classes"] == ["cat"]
