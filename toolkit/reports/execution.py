"""Execute notebooks in parallel, and say exactly which cell failed."""

from __future__ import annotations

import asyncio
import atexit
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from toolkit.errors import ArgumentError, ReportError
from toolkit.extras import extra
from toolkit.schemas.arguments import as_given

with extra("notebooks"):
    import nbformat
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

OnCell = Callable[[str], None]

CELL_TIMEOUT = 300  # seconds
_GLANCE = 0.1  # seconds; Ctrl+C does not interrupt an endless wait
INJECTED = "injected-parameters"
# No secrets; and no sign of a notebook server, whose dark theme the charts would follow.
_NOT_PASSED = {"SO2_TOKEN", "SO2_PSEUDONYM_KEY", "JPY_SESSION_NAME"}


@dataclass(frozen=True)
class Executed:
    """A notebook with its outputs."""

    name: str  # the file's stem, "02-cohorts"
    notebook: nbformat.NotebookNode
    seconds: float  # how long it took, kernel start included
    failure: str | None = None  # which cell failed and why; it then has no outputs


class _ThisPython(KernelSpecManager):
    """Makes every kernel the Python that runs us, whatever kernels the user has installed."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002
        return KernelSpec(resource_dir="", **get_kernel_dict())


def count_code_cells(paths: Sequence[Path]) -> int:
    """Count the cells to be executed: the length of a progress bar."""
    return sum(cell.cell_type == "code" for path in paths for cell in read_notebook(path).cells)


def refuse_unknown(parameters: Mapping[str, object], paths: Sequence[Path]) -> None:
    """Refuse parameters that no notebook has; `course_id` also says which data are read."""
    if not isinstance(parameters, Mapping):
        raise ArgumentError(f"parameters must name values, not be {as_given(parameters)}")
    known = {"course_id"}.union(*(_assigned(cell) for path in paths for cell in _tagged(path)))
    if unknown := [str(name) for name in parameters if name not in known]:
        raise ArgumentError(
            f"no notebook of the report has the parameter {', '.join(unknown)}; there are "
            f"{', '.join(sorted(known))}"
        )


def _tagged(path: Path) -> list[nbformat.NotebookNode]:
    """The cells of a notebook that assign its parameters."""
    cells = read_notebook(path).cells
    return [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]


def _assigned(cell: nbformat.NotebookNode) -> set[str]:
    """The names that a cell of parameters assigns."""
    return {line.split("=")[0].strip() for line in cell.source.splitlines() if "=" in line}


def execute_notebooks(
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str] | None = None,
    parameters: Mapping[str, object] | None = None,
    workers: int = 2,
    timeout: float = CELL_TIMEOUT,
    on_cell: OnCell | None = None,
    withhold: Callable[[str], str] = str,
) -> list[Executed]:
    """Execute notebooks, each in its own kernel and empty folder, and return them in order.

    The kernels have this process's variables and those of `environment`, but neither the token nor
    the pseudonym key. Parameters are for names that a cell tagged "parameters" assigns. `withhold`
    removes from an error's text what must not be shown.
    """
    running = _Running()
    run = partial(
        _execute,
        running=running,
        environment=dict(environment or {}),
        parameters=dict(parameters or {}),
        timeout=timeout,
        on_cell=on_cell,
        withhold=withhold,
    )
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, path) for path in paths]
        try:
            while wait(futures, _GLANCE).not_done:
                pass
        except BaseException:  # Ctrl+C
            pool.shutdown(wait=False, cancel_futures=True)
            running.end()
            raise
        return [future.result() for future in futures]


class _Running:
    """The notebooks that are being executed, so that they can be stopped."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], tuple[NotebookClient, asyncio.AbstractEventLoop]] = {}
        self._lock = threading.Lock()
        self._is_over = False

    def execute(
        self, client: NotebookClient, manager: AsyncKernelManager, variables: Mapping[str, str]
    ) -> None:
        """Execute a notebook to its end, unless `end` comes first."""

        async def whole() -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101  # asyncio.run makes one
            with self._lock:
                if self._is_over:
                    return
                self._tasks[task] = client, asyncio.get_running_loop()
            try:
                # cleanup_kc: the kernel manager is ours; nbclient would leave the kernel running.
                await client.async_execute(env=variables, cleanup_kc=True)
            finally:
                if manager.has_kernel:  # cancelled while the kernel was starting or ending
                    await manager.shutdown_kernel(now=True)
                atexit.unregister(client._cleanup_kernel)  # fails without a kernel
                with self._lock:
                    del self._tasks[task]

        asyncio.run(whole())

    def end(self) -> None:
        """Cancel the notebooks and kill their kernels."""
        with self._lock:
            self._is_over = True
            for task, (client, loop) in self._tasks.items():
                client.shutdown_kernel = "immediate"
                loop.call_soon_threadsafe(task.cancel)


def _execute(
    path: Path,
    *,
    running: _Running,
    environment: dict[str, str],
    parameters: dict[str, object],
    timeout: float,
    on_cell: OnCell | None,
    withhold: Callable[[str], str],
) -> Executed:
    begun = time.monotonic()
    notebook, failure = read_notebook(path), None
    _set_parameters(notebook, parameters)
    started: list[int] = []

    def cell_started(cell_index: int, **_: Any) -> None:
        started.append(cell_index)

    def cell_executed(cell: nbformat.NotebookNode, **_: Any) -> None:
        if on_cell is not None and cell.id != INJECTED:
            on_cell(path.stem)

    # A kernel's debugger would warn about frozen modules on each start. And a progress bar, which
    # nobody watches here, would be an output with figures that are not released.
    settings = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "TQDM_DISABLE": "1"}
    variables = os.environ | settings | environment
    variables = {name: text for name, text in variables.items() if name.upper() not in _NOT_PASSED}
    with (
        tempfile.TemporaryDirectory(prefix="so2-") as folder,
        tempfile.TemporaryDirectory(prefix="so2-") as aside,
    ):
        # Temporary files go where they are deleted even if the kernel is killed.
        variables |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), aside)
        manager = _kernel_manager(aside)
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=round(timeout),
            resources={"metadata": {"path": folder}},
            on_cell_execute=cell_started,
            on_cell_executed=cell_executed,
        )
        try:
            running.execute(client, manager, variables)
        except CellExecutionError as error:
            failure = withhold(f"{error.ename}: {error.evalue}")
        except CellTimeoutError:
            failure = f"took longer than {timeout:.0f} s"
        except DeadKernelError:
            failure = "the kernel died; it may have run out of memory"
    if failure is not None:
        failure = f"{path.name}, {_cell(notebook, started)}: {failure}"
        for cell in notebook.cells:
            cell.pop("outputs", None)
    return Executed(path.stem, notebook, time.monotonic() - begun, failure)


def _set_parameters(notebook: nbformat.NotebookNode, parameters: dict[str, object]) -> None:
    """Insert a cell after the parameters cell, with the values for the names it assigns."""
    for place, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            assigned = _assigned(cell)
            given = [
                f"{name} = {value!r}" for name, value in parameters.items() if name in assigned
            ]
            if given:
                new = nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
                    "\n".join(given), id=INJECTED
                )
                notebook.cells.insert(place + 1, new)
            return


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Return the notebook in a file."""
    try:
        text = path.read_text(encoding="utf-8")
        notebook: nbformat.NotebookNode = nbformat.reads(text, 4)  # type: ignore[no-untyped-call]
        has_cells = isinstance(notebook.cells, list)
    except FileNotFoundError:
        raise ReportError(f"there is no notebook {path}") from None
    except (OSError, ValueError, AttributeError, nbformat.ValidationError):
        has_cells = False
    if not has_cells:
        raise ReportError(f"{path} cannot be read as a notebook")
    return notebook


def _kernel_manager(folder: str) -> AsyncKernelManager:
    manager = AsyncKernelManager(kernel_spec_manager=_ThisPython())
    if os.name != "nt":  # files that only this user can open, rather than loopback ports
        manager.transport = "ipc"
        manager.ip = str(Path(folder, "kernel"))
    return manager


def _cell(notebook: nbformat.NotebookNode, started: list[int]) -> str:
    """Name the last cell that was started, by its number and first line."""
    if not started:
        return "before its first cell"
    first_line = notebook.cells[started[-1]].source.strip().splitlines()[0]
    return f"cell {started[-1] + 1} ({first_line})"
