"""The report of 300 courses compared with that of 24, with 100 learners each: time and size.

Both are complete, notebooks and PDF included, from a snapshot in a folder. The limits, on two idle
cores: 24 courses in 40 s, 300 in 120 s and in three times the time of 24.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np

import toolkit as tk
from benchmarks import Bar
from toolkit.config import settings
from toolkit.loading.platform import Platform

LEARNERS = 100
FEW, MANY = 24, 300
SECONDS_FEW, SECONDS_MANY, RATIO = 40.0, 120.0, 3.0
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
HTTP_DATE = f"{AS_OF:%a, %d %b %Y %H:%M:%S} GMT"


def records(courses: int) -> dict[str, list[dict[str, object]]]:
    """Draw the three resources of so many courses, as a platform sends them."""
    rng = np.random.default_rng(1)
    found: dict[str, list[dict[str, object]]] = {"grades": [], "enrollments": [], "completion": []}
    for course in range(courses):
        ability = rng.uniform(0.15, 0.85)
        for number in range(LEARNERS):
            name = f"learner{(course * 37 + number * 11) % (courses * 60):06}"
            who = {
                "username": name,
                "email": f"{name}@example.com",
                "course_id": f"course-v1:Org+C{course:03}+2024",
            }
            created = AS_OF - timedelta(days=float(rng.uniform(30, 1000)))
            completion = float(np.clip(rng.beta(1.2, 1.2 / ability - 1.2 + 0.4), 0, 1))
            passed = created + timedelta(days=float(rng.weibull(1.3) * 90))
            is_passed = completion > 0.6 and passed < AS_OF
            grades = {
                "display_name": f"Course {course:03}",
                "percent_grade": f"{completion:.2f}",
                "letter_grade": "Pass" if is_passed else "",
                "passed_timestamp": f"{passed:%Y-%m-%d %H:%M:%S}" if is_passed else None,
                "last_date": f"{AS_OF:%Y-%m-%d}",
            }
            found["grades"].append(who | grades)
            found["enrollments"].append(
                who | {"is_active": True, "mode": "audit", "created": f"{created:%Y-%m-%d %H:%M}"}
            )
            found["completion"].append(who | {"completion": f"{completion:.2f}"})
    return found


@contextmanager
def snapshot(courses: int) -> Iterator[Path]:
    """Yield a folder with a snapshot of so many courses."""
    bodies = {name: json.dumps(rows) for name, rows in records(courses).items()}

    def answer(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rstrip("/").rpartition("/")[2]
        body = httpx.ByteStream(bodies[name].encode())
        return httpx.Response(200, stream=body, headers={"Date": HTTP_DATE})

    known = settings(base_url="https://platform.example.com", token="a-token-of-nobody")  # noqa: S106
    with (
        tempfile.TemporaryDirectory(prefix="so2-") as folder,
        Platform(known, transport=httpx.MockTransport(answer)) as platform,
    ):
        tk.take_snapshot(platform, Path(folder, "now"), key=secrets.token_hex(32), times="exact")
        yield Path(folder, "now")


def cpu_seconds() -> float:
    """Return the processor seconds of this process and its ended children."""
    this_process, ended = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    return this_process.ru_utime + this_process.ru_stime + ended.ru_utime + ended.ru_stime


def measured(courses: int) -> tuple[float, float, float]:
    """Return seconds, processor seconds and megabytes of a report."""
    with snapshot(courses) as source, tempfile.TemporaryDirectory(prefix="so2-") as folder:
        os.environ["SO2_SNAPSHOT"] = str(source)
        begun, taken = time.perf_counter(), cpu_seconds()
        report = tk.write_report(Path(folder, "report"))
        took, taken = time.perf_counter() - begun, cpu_seconds() - taken
        if report.failures:
            raise RuntimeError("\n".join(report.failures))
        size = sum(path.stat().st_size for path in report.index.parent.rglob("*.*"))
    return took, taken, size / 1e6


def main() -> list[Bar]:
    """Write both reports, and print their time and size."""
    rows = {courses: measured(courses) for courses in (FEW, MANY)}
    print(f"{'courses':>8} {'seconds':>8} {'processor s':>12} {'megabytes':>10}")
    for courses, (took, taken, size) in rows.items():
        print(f"{courses:>8} {took:>8.0f} {taken:>12.0f} {size:>10.1f}")
    (few, few_taken, _), (many, many_taken, _) = rows.values()
    print(
        f"{MANY} courses take {many_taken / few_taken:.1f} × the processor time of {FEW}; load of "
        f"the machine {os.getloadavg()[1]:.1f}"
    )
    return [
        Bar(f"seconds for {FEW} courses", few, "≤", SECONDS_FEW),
        Bar(f"seconds for {MANY} courses", many, "≤", SECONDS_MANY),
        Bar(f"{MANY} courses beside {FEW}", many / few, "≤", RATIO),
    ]
