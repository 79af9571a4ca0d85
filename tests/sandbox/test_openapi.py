"""The running sandbox keeps to its own OpenAPI document, whatever it is asked."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import toolkit as tk


@pytest.mark.slow
def test_every_answer_is_one_that_is_documented(tmp_path: Path) -> None:
    with tk.sandbox(learners=1, token="throw-away") as platform:
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"{platform.base_url}/openapi.json",
                *("--header", "Authorization: Bearer throw-away"),
                *("--header", "Content-Type: application/json"),
                *("--checks", "all"),
                *("--max-examples", "20", "--seed", "1", "--generation-database", "none"),
            ],
            cwd=tmp_path,  # it leaves a folder of its own behind
            capture_output=True,
            text=True,
            check=False,
        )
    assert found.returncode == 0, found.stdout
    assert "No issues found" in found.stdout
    assert "Selected: 3/3" in found.stdout


def test_the_document_tells_of_each_resource_its_refusals_and_its_filters() -> None:
    with tk.sandbox(learners=1) as platform:
        document = httpx.get(f"{platform.base_url}/openapi.json").json()
    filters = {
        path.rpartition("/")[2]: [p["name"] for p in operation["get"]["parameters"]]
        for path, operation in document["paths"].items()
    }
    header = "access-control-request-headers"
    assert filters == {
        "grades": ["course_id", "username", header],
        "enrollments": ["course_id", "username", "days", header],
        "completion": ["course_id", "username", header],
    }
    for operation in document["paths"].values():
        assert set(operation["get"]["responses"]) == {"200", "400", "401"}
    assert "Content-Type: application/json" in document["info"]["description"]


def test_the_documentation_page_needs_no_network() -> None:
    with tk.sandbox(learners=1) as platform:
        page = httpx.get(f"{platform.base_url}/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "https://" not in page.text
    for word in ("/api/so2/v1/enrollments", "days", "401", "openapi.json"):
        assert word in page.text
