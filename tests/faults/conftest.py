"""Each fault's row of the table: its name, trials, what was checked, the result, seconds."""

from collections.abc import Callable

import pytest

RESULTS = {"passed": "held", "failed": "FAILED", "error": "FAILED", "skipped": "skipped", "xfailed": "known"}


@pytest.fixture(autouse=True)
def row(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> None:
    """Tells the table what the test's mark says."""
    mark = request.node.get_closest_marker("fault")
    for name, value in (mark.kwargs if mark else {}).items():
        record_property(name, value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    rows = [("fault", "trials", "checked", "result", "seconds")]
    for outcome, said in RESULTS.items():
        for report in terminalreporter.stats.get(outcome, []):
            told = dict(getattr(report, "user_properties", ()))
            if (
                "fault" not in report.nodeid
                or "name" not in told
                or not (report.when == "call" or outcome != "passed")
            ):
                continue
            why = (
                f" ({report.longrepr[2].removeprefix('Skipped: ')})"
                if outcome == "skipped" and isinstance(report.longrepr, tuple)
                else ""
            )
            rows.append(
                (
                    str(told["name"]),
                    str(told["trials"]),
                    str(told["checked"]),
                    said + why,
                    f"{report.duration:.0f}",
                )
            )
    if len(rows) == 1:
        return
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    terminalreporter.write_sep("=", "faults")
    for each in rows:
        terminalreporter.write_line(
            "  ".join(text.ljust(width) for text, width in zip(each, widths, strict=True))
        )
