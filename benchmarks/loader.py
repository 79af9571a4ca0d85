"""From an HTTP body to the typed frame: the loader beside what a user would otherwise write.

A million grade records (and five million, and for dlt a hundred thousand) come over loopback
from a server process that only sends a file. Each contestant runs in a process of its own, in
turn; times are medians and exclude imports, memory is the highest resident size of the process.
All must agree on the number of records, the sums and the nulls.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from benchmarks import peak_megabytes

RUNS = 3
SIZES = {"small": 100_000, "million": 1_000_000, "five": 5_000_000}
PATH = "/api/so2/v1/grades"
TIMESTAMP = "%Y-%m-%d %H:%M:%S%.f"


def main() -> None:
    """Measure everything and print the table."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address:
        for name, records in SIZES.items():
            write_body(Path(folder) / name, records)
        names = ("toolkit", "httpx", "orjson", "duckdb")
        million = {name: measured(name, address, "million", folder) for name in names}
        small = {name: measured(name, address, "small", folder) for name in ("toolkit", "dlt")}
        five = measured("toolkit", address, "five", folder, runs=1)
        scans = {s: measured("scan", address, s, folder, runs=1) for s in ("million", "five")}
    for rows in (million, small):
        assert len({json.dumps(one["facts"]) for one in rows.values()}) == 1, rows
    assert scans["million"]["facts"] == million["toolkit"]["facts"]
    assert scans["five"]["facts"] == five["facts"]

    print(f"HTTP body to typed frame (median of {RUNS} runs)")
    ours = million["toolkit"]
    for name, one in million.items():
        print(f"  1,000,000 records  {name:8}{one['seconds']:8.2f} s {one['megabytes']:7.0f} MB")
    for name, one in small.items():
        print(f"    100,000 records  {name:8}{one['seconds']:8.2f} s {one['megabytes']:7.0f} MB")
    print(f"  5,000,000 records  toolkit {five['seconds']:8.2f} s {five['megabytes']:7.0f} MB")
    for name, one in scans.items():
        what = f"{SIZES[name]:,}"
        print(f"  {what} scanned to Parquet {one['seconds']:8.2f} s {one['megabytes']:7.0f} MB")
    naive = million["httpx"]
    bar("faster than httpx and pl.DataFrame", naive["seconds"] / ours["seconds"], ">=", 4)
    bar("faster than dlt", small["dlt"]["seconds"] / small["toolkit"]["seconds"], ">=", 20)
    bar("memory beside httpx's", ours["megabytes"] / naive["megabytes"], "<=", 0.25)
    bar("time for 5 x the records", five["seconds"] / ours["seconds"], "<=", 5.5)
    growth = scans["five"]["megabytes"] / scans["million"]["megabytes"]
    bar("scan's memory for 5 x the records", growth, "<=", 1.2)


def bar(measure: str, value: float, sign: str, limit: float) -> None:
    met = value >= limit if sign == ">=" else value <= limit
    print(f"  {measure:36} {value:7.2f}   bar {sign} {limit:<5} {'met' if met else 'NOT MET'}")


def measured(name: str, address: str, size: str, folder: str, *, runs: int = RUNS) -> Any:
    found = []
    for _ in range(runs):
        command = [sys.executable, "-m", "benchmarks.loader", name, f"{address}/{size}", folder]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(answer.stdout.splitlines()[-1]))
    middle = {key: statistics.median(one[key] for one in found) for key in ("seconds", "megabytes")}
    return middle | {"facts": found[0]["facts"]}


def run(name: str, url: str, folder: str) -> None:
    contestant = CONTESTANTS[name](url, Path(folder))
    started = time.perf_counter()
    frame = contestant()
    seconds = time.perf_counter() - started
    megabytes = peak_megabytes()
    print(json.dumps({"seconds": seconds, "megabytes": megabytes, "facts": facts(frame)}))


def facts(frame: pl.LazyFrame) -> dict[str, int | str]:
    """Sums that do not depend on the order of addition, and the nulls."""
    sums = frame.select(
        records=pl.len(),
        hundredths=(pl.col("percent_grade") * 100).round().cast(pl.Int64).sum(),
        passed=(pl.col("passed_timestamp").dt.epoch("us") % 1_000_000_007).sum(),
        last=pl.col("last_date").max().cast(pl.String),
        names=pl.col("username").str.len_bytes().sum(),
        nulls=pl.sum_horizontal(pl.all().is_null().sum()),
        ungraded=pl.col("letter_grade").is_null().sum(),
    )
    return sums.collect().row(0, named=True)


def typed(frame: pl.DataFrame) -> pl.LazyFrame:
    """The casts that the loader makes."""
    return (
        frame.with_columns(
            pl.col("percent_grade").cast(pl.Float64),
            pl.col("letter_grade").replace("", None),
            pl.col("passed_timestamp").str.to_datetime(TIMESTAMP, time_unit="us", time_zone="UTC"),
            pl.col("last_date").str.to_date(),
        )
        .select("username", "email", "course_id", "display_name", "percent_grade", "letter_grade",
                "passed_timestamp", "last_date")
        .lazy()
    )  # fmt: skip


def with_toolkit(url: str, _: Path) -> Callable[[], pl.LazyFrame]:
    import toolkit as tk

    platform = tk.connect(url, token="secret")  # noqa: S106  # of nothing
    load = tk.load_grades
    return lambda: load(platform).lazy()


def with_scan(url: str, folder: Path) -> Callable[[], pl.LazyFrame]:
    import toolkit as tk

    platform = tk.connect(url, token="secret")  # noqa: S106
    target = folder / "scanned.parquet"

    def sink() -> pl.LazyFrame:
        tk.scan_grades(platform).sink_parquet(target)
        return pl.scan_parquet(target)

    return sink


def with_httpx(url: str, _: Path) -> Callable[[], pl.LazyFrame]:
    def load() -> pl.LazyFrame:
        records = httpx.get(url + PATH, timeout=600).json()
        return typed(pl.DataFrame(records, infer_schema_length=None))

    return load


def with_orjson(url: str, _: Path) -> Callable[[], pl.LazyFrame]:
    import orjson

    def load() -> pl.LazyFrame:
        records = orjson.loads(httpx.get(url + PATH, timeout=600).content)
        return typed(pl.DataFrame(records, infer_schema_length=None))

    return load


def with_duckdb(url: str, folder: Path) -> Callable[[], pl.LazyFrame]:
    import duckdb

    path = folder / "body.json"
    names = ("username", "email", "course_id", "display_name", "percent_grade", "letter_grade",
             "passed_timestamp", "last_date")  # fmt: skip
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in names)

    def load() -> pl.LazyFrame:
        with httpx.stream("GET", url + PATH, timeout=600) as answer, path.open("wb") as file:
            file.writelines(answer.iter_raw())
        query = f"select * from read_json('{path}', format = 'array', columns = {{{columns}}})"  # noqa: S608
        duckdb.sql(query).write_parquet(str(folder / "duckdb.parquet"))
        return typed(pl.read_parquet(folder / "duckdb.parquet"))

    return load


def with_dlt(url: str, folder: Path) -> Callable[[], pl.LazyFrame]:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    import duckdb
    from dlt.sources.rest_api import rest_api_source

    def load() -> pl.LazyFrame:
        source = rest_api_source(
            {
                "client": {"base_url": url, "paginator": "single_page"},
                "resources": [{"name": "grades", "endpoint": {"path": PATH.lstrip("/")}}],
            }
        )
        stage = tempfile.mkdtemp(dir=folder)
        pipeline = dlt.pipeline(
            "grades",
            pipelines_dir=stage,
            destination=dlt.destinations.duckdb(f"{stage}/grades.duckdb"),
            dataset_name="so2",
        )
        pipeline.run(source)
        with duckdb.connect(f"{stage}/grades.duckdb") as database:
            database.sql("from so2.grades").write_parquet(f"{stage}/grades.parquet")
        frame = pl.read_parquet(f"{stage}/grades.parquet")
        if frame["last_date"].dtype != pl.String:  # dlt guesses types
            frame = frame.with_columns(pl.col("last_date").dt.to_string("%F"))
        if frame["passed_timestamp"].dtype != pl.String:
            frame = frame.with_columns(pl.col("passed_timestamp").dt.to_string("%F %T%.6f"))
        return typed(frame)

    return load


CONTESTANTS = {
    "toolkit": with_toolkit,
    "scan": with_scan,
    "httpx": with_httpx,
    "orjson": with_orjson,
    "duckdb": with_duckdb,
    "dlt": with_dlt,
}


def write_body(path: Path, records: int) -> None:
    """A body such as the platform sends; two in five have passed."""
    rng = random.Random(7)  # noqa: S311
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number in range(records):
            file.write(("," if number else "") + json.dumps(record(number, rng)))
        file.write("]")


def record(number: int, rng: random.Random) -> dict[str, str | None]:
    day, clock = rng.randrange(28) + 1, rng.randrange(86_400)
    time_of_day = f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}"
    passed = rng.random() < 0.4
    return {
        "username": f"learner{number:07}",
        "email": f"learner{number:07}@example.com",
        "course_id": f"course-v1:Org+CS{number % 20}+2020_T1",
        "display_name": f"Course number {number % 20}: an introduction",
        "percent_grade": f"{rng.random():.2f}",
        "letter_grade": "Pass" if passed else "",
        "passed_timestamp": f"2020-03-{day:02} {time_of_day}.{rng.randrange(10**6):06}"
        if passed
        else None,
        "last_date": f"2020-11-{day:02}",
    }


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A process that sends the files of a folder, whatever the path behind their names."""
    command = [sys.executable, "-m", "benchmarks.loader", "serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve(folder: Path) -> None:
    class Sender(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with (folder / self.path.split("/")[1]).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(size))
                self.end_headers()
                self.connection.sendfile(file)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    sender = ThreadingHTTPServer(("127.0.0.1", 0), Sender)
    print(f"http://127.0.0.1:{sender.server_port}", flush=True)
    sender.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        run(*sys.argv[1:])
