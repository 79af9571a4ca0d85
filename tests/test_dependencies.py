"""What is imported is declared and the reverse; what is optional says how to get it."""

import ast
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Where an extra may be imported; all else must run on the core.
DOORS = {
    "cli": ("cli",),
    "cloud": ("snapshots",),
    "compression": ("loading", "sandbox"),
    "engines": (),
    "models": (),
    "notebooks": ("reports", "cli"),
    "sandbox": ("sandbox",),
    "spark": (),
    "tables": ("text",),
}
# Used without an import of ours: engines that users hand in, parts of JupyterLab, models that a
# notebook fits.
NEVER_IMPORTED = {
    "chdb", "ibis-framework", "ipywidgets", "lifelines", "pyarrow", "pyspark", "statsmodels"
}  # fmt: skip
# Optional packages in the core: absence is handled there, or it is the engine of given rows.
HANDLED = {"duckdb", "ibis", "ibis-framework", "pandas", "pyspark"}


def name_of(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return name[0].lower().replace("_", "-")


def declared(*extras: str) -> set[str]:
    lists = [PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras)]
    return {name_of(requirement) for names in lists for requirement in names}


def brought_along(names: set[str]) -> set[str]:
    """What the declared packages require themselves: httpx brings httpcore, for its own API."""
    return {
        name_of(requirement)
        for name in names
        for requirement in required_by(name)
        if "extra ==" not in requirement
    }


def required_by(name: str) -> list[str]:
    """What a distribution requires; nothing if it is an optional one that is not installed."""
    with suppress(PackageNotFoundError):
        return requires(name) or []
    return []


@cache
def imported() -> dict[str, set[str]]:
    """Each distribution that the package imports, with the rooms that import it."""
    distributions = packages_distributions()
    found: dict[str, set[str]] = {}
    for file in (ROOT / "toolkit").rglob("*.py"):
        room = file.relative_to(ROOT / "toolkit").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            for module in {module.split(".")[0] for module in modules}:
                if module in sys.stdlib_module_names or module == "toolkit":
                    continue
                for name in distributions.get(module, [module]):
                    found.setdefault(name.lower().replace("_", "-"), set()).add(room)
    return found


def test_what_is_imported_is_declared() -> None:
    core = declared()
    known = core | brought_along(core)
    unknown = {}
    for name, rooms in imported().items():
        for room in rooms:
            extras = [extra for extra, doors in DOORS.items() if room in doors]
            optional = declared(*extras)
            if name not in known | optional | brought_along(optional) | HANDLED:
                unknown[name] = room
    assert unknown == {}


def test_what_is_declared_is_imported() -> None:
    assert declared(*DOORS) - set(imported()) - NEVER_IMPORTED == set()


def test_the_extra_all_is_every_extra_of_users() -> None:
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"[a-z]+", everything.split("[")[1])) == set(DOORS) - {
        "engines",
        "models",
        "spark",
        "tables",
    }


def test_the_core_brings_at_most_60_distributions() -> None:
    found: set[str] = set()
    new = declared()
    while new:
        found |= new
        new = {
            name_of(line)
            for name in new
            for line in requires(name) or []
            if (marker := Requirement(line).marker) is None or marker.evaluate({"extra": ""})
        } - found
    assert len(found) <= 60


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_what_is_required_with_an_extra_is_locked_with_it(lock: str) -> None:
    """Pip looks for the newest `coverage[toml]` beside a pinned `coverage`, and refuses it."""
    lines = re.findall(r"^[\w.\[\], -]+(?===)", (ROOT / lock).read_text(encoding="utf-8"), re.M)
    locked = {name_of(line): Requirement(line).extras for line in lines}
    lacking = {}
    for name, extras in locked.items():
        with suppress(PackageNotFoundError):  # of another system, or of another Python
            for needed in map(Requirement, requires(name) or []):
                applies = not needed.marker or any(
                    needed.marker.evaluate({"extra": extra}) for extra in {"", *extras}
                )
                absent = needed.extras - locked.get(name_of(needed.name), needed.extras)
                if applies and absent:
                    lacking[name] = str(needed)
    assert lacking == {}


def run_without(module: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that cannot import a module."""
    block = f"import sys; sys.modules[{module!r}] = None; import toolkit as tk\n"
    return subprocess.run(
        [sys.executable, "-c", block + code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("extra", "module", "code"),
    [
        ("cli", "typer", "import toolkit.cli; toolkit.cli.main()"),
        ("cli", "rich", "import toolkit.cli; toolkit.cli.main()"),
        ("notebooks", "ipykernel", "tk.write_report()"),
        ("notebooks", "nbconvert", "tk.write_report()"),
        ("notebooks", "vl_convert", "tk.write_report()"),
        ("cloud", "boto3", "tk.open_snapshot('s3://bucket/s')"),
        ("cloud", "obstore", "tk.open_snapshot('s3://bucket/s')"),
        ("compression", "brotli", "tk.sandbox(learners=1, faults='br')"),
        ("compression", "zstandard", "tk.sandbox(learners=1, faults='zstd')"),
        ("sandbox", "fastapi", "tk.sandbox()"),
        ("sandbox", "uvicorn", "tk.sandbox()"),
        (
            "tables",
            "great_tables",
            "f = __import__('polars').DataFrame({'n': [40]})\n"
            "tk.result(f, counts={'n': None}).to_great_table()",
        ),
        (
            "tables",
            "xlsxwriter",
            "f = __import__('polars').DataFrame({'n': [40]})\n"
            "tk.result(f, counts={'n': None}).to_excel('x.xlsx')",
        ),
    ],
)
def test_a_missing_extra_is_named(extra: str, module: str, code: str) -> None:
    done = run_without(module, code)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(
        f"{module} is not installed. The extra {extra!r} installs it: "
        f'pip install "so2-toolkit[{extra}]"'
    )


@pytest.mark.slow
def test_a_core_without_extras_loads_checks_and_draws() -> None:
    optional = {
        module
        for module, names in packages_distributions().items()
        if {name.lower() for name in names} & (declared(*DOORS) - declared())
    }
    block = f"import sys; sys.modules |= dict.fromkeys({sorted(optional)!r})\n"
    code = """
import toolkit as tk
grades = tk.read(b'[{"username": "a", "email": "a@example.com", "course_id": "c",'
    b'"display_name": "C", "percent_grade": 0.5, "letter_grade": "Pass",'
    b'"passed_timestamp": "2024-01-01 00:00:00", "last_date": null}]', "grades")
assert grades.height == 1
assert len(tk.check(grades=grades).outcomes) > 5
import pydoc, toolkit.charts.theme
for room in (tk, *(getattr(tk, name) for name in tk.__all__)):
    assert pydoc.render_doc(room)
"""
    done = subprocess.run(
        [sys.executable, "-c", block + code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
