"""What is displayed of data names nobody, fits a screen, and cannot control a terminal."""

import json
import math
import re
import secrets
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import toolkit as tk

NAMES = [
    "ada.secret",
    "Zoë\x1b[2JQuux",
    "<script>alert(1)</script>",
    "n" * 300,
    "new\nline",
    "=cmd|x",
]
COURSES = ["course-v1:Org\x1b[31m+<b>C</b>\n+2026", "course-v1:Org+C" + "x" * 150 + "+R"]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
SOURCE = "evil \x1b[31m<b>host</b>\nof records " + "y" * 100


def body(resource: str, n: int = 60) -> bytes:
    fields: dict[str, dict[str, Any]] = {
        "grades": {"percent_grade": 80.0, "letter_grade": "\x1b[31mA", "display_name": "<i>D</i>"},
        "enrollments": {"is_active": True, "mode": "aud\x1b[0mit", "created": "2023-12-01 00:00"},
        "completion": {"completion": "1.5"},
    }
    rows = [
        {
            "username": f"{NAMES[i % len(NAMES)]}{i}",
            "email": f"{i}secret@example.com",
            "course_id": f"{COURSES[i % 2]}{i // 2 % 12}",
            **fields[resource],
        }
        for i in range(n)
    ]
    return json.dumps(rows).encode()


def study() -> tk.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = {name: tk.read(body(name), name) for name in tk.schemas.RESOURCES}  # type: ignore[arg-type]
    problems = tk.schemas.PROBLEMS.empty()
    return tk.Study(
        **frames, problems=problems, as_of=datetime(2024, 6, 1, tzinfo=UTC), source=SOURCE
    )


@pytest.fixture(scope="module")
def displayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder, key = tmp_path_factory.mktemp("displays"), secrets.token_hex(32)
    hostile = study()
    with tk.sandbox(learners=500) as platform, tk.sandbox(learners=500, seed=8) as other:
        now = tk.take_snapshot(platform, folder / "a", key=key)
        then = tk.take_snapshot(other, folder / "b", key=key)
        yield {
            "Study": hostile,
            "LazyStudy": tk.Study.scan(folder / "a"),
            "coverage": hostile.with_learners(hostile.grades.select("username").unique()).coverage,
            "Load": tk.fetch(platform, "grades"),
            "Platform": platform,
            "Snapshot": now,
            "Changes": tk.compare_snapshots(then, now),
            "QualityReport": tk.check(hostile),
            "QualityReport of snapshots": tk.quality.check_snapshots(then, now),
        }


SHOWN = [
    "Study", "LazyStudy", "coverage", "Load", "Platform", "Snapshot", "Changes", "QualityReport",
    "QualityReport of snapshots",
]  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_a_display_names_nobody_and_fits_a_screen(displayed: dict[str, Any], name: str) -> None:
    text, html = repr(displayed[name]), displayed[name]._repr_html_()
    assert sum(math.ceil(len(line) / 80) or 1 for line in text.splitlines()) <= 40
    for shown in (text, html):
        assert not CONTROL.search(shown)
        assert not re.search(r"secret|Quux|alert|nnnnnnnnn|=cmd", shown)
    assert not re.search(r"<(script|b|i)>", html)


def test_a_snapshot_is_displayed_with_numbers_that_identify_nobody(tmp_path: Path) -> None:
    with tk.sandbox(learners=5) as platform:
        taken = tk.take_snapshot(platform, tmp_path / "s", key=secrets.token_hex(32))
    n = taken.grades().collect().height
    assert 0 < n < 20
    assert f"about {5 * round(n / 5)} grades" in repr(taken)


def test_a_report_for_ci_is_valid_whatever_courses_are_called() -> None:
    report = tk.check(study())
    assert ElementTree.fromstring(report.to_junit()).tag == "testsuites"  # noqa: S314
    assert json.loads(report.to_json())["n_failed"] > 0


def test_a_failed_check_is_written_with_its_numbers_and_examples() -> None:
    text = repr(tk.check(study()))
    assert "grades lie between 0 and 1" in text
    assert "60 of 60" in text
    assert "p_" in text
