"""From an HTTP body to the typed frame: the loader compared with what a user would write.

Bodies of many shapes, drawn from a grammar, come over loopback from a server process that only
sends a file. Each contestant runs in a process of its own, in turn; times are medians and exclude
imports, memory is the highest resident size of the process. All must agree on the number of
records, the sums and the nulls. DuckDB reads a temporary file that httpx wrote.
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
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from benchmarks import Bar, peak_megabytes

RUNS = 3
SIZES = {"small": 200_000, "million": 1_000_000, "five": 5_000_000}
PATH = "/api/so2/v1/grades"
TIMESTAMP = "%Y-%m-%d %H:%M:%S%.f"


@dataclass(frozen=True)
class Shape:
    """How a body is written: one choice for each rule of the grammar."""

    name: str
    spaces: tuple[str, str] = (",", ":")
    indent: int | None = None
    ascii: bool = True
    names: str = "plain"  # or "quoted", "accented"
    framing: str = "array"  # or "lines", "commas", "envelope"
    left_out: bool = False  # null fields
    numbers: bool = False  # percentages without quotes
    extra: str = "none"  # or "text", "nested"
    extra_every: int = 1  # records
    other_order_every: int = 0  # records; 0 for never

    def record(self, number: int, rng: random.Random) -> dict[str, Any]:
        fields: dict[str, Any] = record(number, rng)
        around = {"quoted": 'The "{}"', "accented": "{} í"}.get(self.names, "{}")
        fields["display_name"] = around.format(fields["display_name"])
        if self.numbers:
            fields["percent_grade"] = float(fields["percent_grade"])
        if self.left_out:
            fields = {name: value for name, value in fields.items() if value is not None}
        if self.extra != "none" and number % self.extra_every == 0:
            fields["more"] = "x" if self.extra == "text" else {"a": [1, 2], "b": {"email": "x"}}
        if self.other_order_every and number % self.other_order_every == 0:
            fields = dict(reversed(fields.items()))
        return fields

    def write(self, path: Path, records: int) -> None:
        rng = random.Random(7)  # noqa: S311
        between = "\n" if self.framing == "lines" else self.spaces[0]
        head, foot = {"array": "[]", "envelope": ('{"results":[', '],"next":null}')}.get(
            self.framing, ("", "")
        )
        with path.open("w", encoding="utf-8") as file:
            file.write(head)
            for number in range(records):
                text = json.dumps(
                    self.record(number, rng),
                    ensure_ascii=self.ascii,
                    separators=self.spaces,
                    indent=self.indent,
                )
                file.write((between if number else "") + text)
            file.write(foot)


SPACED = (", ", ": ")
SHAPES = (
    Shape("compact, plain names"),
    Shape("as Django writes it", SPACED, names="accented"),
    Shape("names with escaped quotes", names="quoted"),
    Shape("pretty-printed", (",", ": "), indent=2),
    Shape("one object a line", framing="lines"),
    Shape("a nested extra field", extra="nested"),
    Shape("null fields left out", left_out=True),
    Shape("1 in 1,000 with an extra field", extra="text", extra_every=1000),
    Shape("1 in 1,000 in another order", other_order_every=1000),
    Shape("percentages as numbers", numbers=True),
)


def drawn(count: int) -> list[Shape]:
    """Draw shapes at random."""
    rng = random.Random(11)  # noqa: S311
    return [
        Shape(
            f"drawn from the grammar, {number + 1}",
            rng.choice([(",", ":"), SPACED, (" , ", " : ")]),
            rng.choice([None, None, 1, 4]),
            rng.random() < 0.5,
            rng.choice(["plain", "quoted", "accented"]),
            rng.choice(["array", "envelope"]),  # what every peer reads
            rng.random() < 0.3,
            rng.random() < 0.3,
            rng.choice(["none", "text", "nested"]),
            rng.choice([1, 2, 50, 1000]),
            rng.choice([0, 2, 1000]),
        )
        for number in range(count)
    ]


def main() -> list[Bar]:
    """Measure everything and print the table."""
    shapes = [*SHAPES, *drawn(3)]
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address:
        million = [compared(shape, SIZES["million"], address, folder) for shape in shapes]
        small = [compared(shape, SIZES["small"], address, folder) for shape in shapes]
        SHAPES[0].write(Path(folder) / "five", SIZES["five"])
        five = measured("toolkit", address, "five", folder, runs=1)
        scan_five = measured("scan", address, "five", folder, runs=1)
        SHAPES[0].write(Path(folder) / "body", SIZES["million"])
        scan = measured("scan", address, "body", folder, runs=1)
    sizes = (small, "200,000"), (million, "1,000,000")
    speeds = [row["speed"] for row in million]
    return [
        *(
            Bar(f"slowest shape beside naive, {size}", min(row["ratio"] for row in rows), "≥", 4)
            for rows, size in sizes
        ),
        Bar("compact plain names, 1,000,000", million[0]["ratio"], "≥", 6),
        Bar("fastest beside slowest, per byte", max(speeds) / min(speeds), "≤", 2.5),
        *(
            Bar(f"memory beside naive, {size}", max(row["memory"] for row in rows), "≤", 0.25)
            for rows, size in sizes
        ),
        Bar("faster than DuckDB, worst shape", min(row["duckdb"] for row in million), "≥", 1),
        Bar("time for 5 × the records", five["seconds"] / million[0]["seconds"], "≤", 5.2),
        Bar("scan's memory for 5 ×", scan_five["megabytes"] / scan["megabytes"], "≤", 1.2),
    ]


def compared(shape: Shape, records: int, address: str, folder: str) -> dict[str, Any]:
    """Measure one body, read by each contestant in turn; all must agree."""
    path = Path(folder) / "body"
    shape.write(path, records)
    megabytes = path.stat().st_size / 1e6
    names = ("toolkit", "httpx", "duckdb")
    if shape.framing == "envelope":  # DuckDB makes one row of it
        names = ("toolkit", "httpx")
    found = {name: measured(name, address, "body", folder) for name in names}
    assert len({json.dumps(one["facts"]) for one in found.values()}) == 1, found
    ours, naive = found["toolkit"], found["httpx"]
    duckdb = found["duckdb"]["seconds"] / ours["seconds"] if "duckdb" in found else float("inf")
    row = {
        "ratio": naive["seconds"] / ours["seconds"],
        "speed": megabytes / ours["seconds"],
        "memory": ours["megabytes"] / naive["megabytes"],
        "duckdb": duckdb,
        "seconds": ours["seconds"],
    }
    print(
        f"{records:>9,} {shape.name:32} {ours['seconds']:6.2f} s, {ours['cpu']:6.2f} of CPU; naive "
        f"{naive['seconds']:6.2f} s, {row['ratio']:5.1f} x; DuckDB {duckdb:4.1f} x; "
        f"{row['speed']:4.0f} MB/s; memory {row['memory']:.2f}",
        flush=True,
    )
    return row


def measured(name: str, address: str, size: str, folder: str, *, runs: int = RUNS) -> Any:
    found = []
    for _ in range(runs):
        command = [sys.executable, "-m", "benchmarks.loader", name, f"{address}/{size}", folder]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(json.loads(answer.stdout.splitlines()[-1]))
    medians = {
        key: statistics.median(one[key] for one in found) for key in ("seconds", "cpu", "megabytes")
    }
    return medians | {"facts": found[0]["facts"]}


def run(name: str, url: str, folder: str) -> None:
    contestant = CONTESTANTS[name](url, Path(folder))
    started, cpu = time.perf_counter(), time.process_time()
    frame = contestant()
    found = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "megabytes": peak_megabytes(),
    }
    print(json.dumps(found | {"facts": facts(frame)}))


def facts(frame: pl.LazyFrame) -> dict[str, int | str]:
    """Return sums that do not depend on the order of addition, and the number of nulls."""
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
    """Make the casts that the loader makes."""
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
        tk.scan(platform, "grades").sink_parquet(target)
        return pl.scan_parquet(target)

    return sink


def with_httpx(url: str, _: Path) -> Callable[[], pl.LazyFrame]:
    def load() -> pl.LazyFrame:
        answer = httpx.get(url + PATH, timeout=600)
        try:
            body = answer.json()
        except ValueError:  # one object a line
            body = [json.loads(line) for line in answer.text.splitlines()]
        records = body["results"] if isinstance(body, dict) else body
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
        query = f"select * from read_json('{path}', format = 'auto', columns = {{{columns}}})"  # noqa: S608
        duckdb.sql(query).write_parquet(str(folder / "duckdb.parquet"))
        return typed(pl.read_parquet(folder / "duckdb.parquet"))

    return load


CONTESTANTS = {
    "toolkit": with_toolkit,
    "scan": with_scan,
    "httpx": with_httpx,
    "duckdb": with_duckdb,
}


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
    """Start a process that sends the files of a folder by the first part of the path."""
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
