"""A Spark session on this machine."""

from __future__ import annotations

import os
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def lacks() -> str | None:
    """Return what is needed to measure Spark and absent here."""
    if not Path("/proc/self/stat").exists():
        return "Linux, which tells what other processes use"
    if find_spec("pyspark") is None:
        return "PySpark"
    return None if shutil.which("java") or "JAVA_HOME" in os.environ else "Java"


@cache
def session() -> Any:
    """Return the session, started at the first call."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    started = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    return started


def warm_up() -> None:
    """Start the session and have it answer a query that reads no file."""
    session().sql("SELECT id % 2, count(*) FROM range(10) GROUP BY ALL").toArrow()
