"""Run some downloads at once, on threads that can be abandoned."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import TypeVar

_CHECK_INTERVAL = 0.1  # seconds; with Polars, an endless wait on a lock ignores Ctrl+C
_PATIENCE = 1.0  # seconds for cancelled threads to end

T = TypeVar("T")
R = TypeVar("R")


class _CancelledError(Exception):
    """Another item failed, or the user pressed Ctrl+C."""


def side_by_side(
    work: Callable[[T, Callable[[], None]], R], items: Sequence[T], *, at_once: int
) -> list[R]:
    """Return the result of `work` for each item, in their order.

    If one fails, or the user interrupts, the others are cancelled.

    Args:
        work: Called with an item, and with a function that raises once the work is cancelled.
        items: What to work on.
        at_once: How many threads; a single item needs none.
    """
    if len(items) == 1:
        return [work(items[0], lambda: None)]
    cancelled = threading.Event()
    futures: list[Future[R]] = [Future() for _ in items]
    jobs = _locked(zip(items, futures, strict=True))
    threads = [
        threading.Thread(
            target=_run_jobs,
            args=(work, jobs, cancelled),
            name=f"toolkit-load-{number}",
            daemon=True,
        )
        for number in range(min(at_once, len(items)))
    ]
    try:
        for thread in threads:
            thread.start()
        while not _is_over(futures):
            wait(futures, _CHECK_INTERVAL, FIRST_EXCEPTION)
    finally:
        cancelled.set()
        until = time.monotonic() + _PATIENCE
        for thread in threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
    failures = [future.exception() for future in futures if future.done()]
    for failure in failures:
        if failure is not None and not isinstance(failure, _CancelledError):
            raise failure
    return [future.result() for future in futures]


def _run_jobs(
    work: Callable[[T, Callable[[], None]], R],
    jobs: Iterator[tuple[T, Future[R]]],
    cancelled: threading.Event,
) -> None:
    def check_cancelled() -> None:
        if cancelled.is_set():
            raise _CancelledError

    for item, future in jobs:
        try:
            check_cancelled()
            future.set_result(work(item, check_cancelled))
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            future.set_exception(error)


def _is_over(futures: list[Future[R]]) -> bool:
    done = [future for future in futures if future.done()]
    return len(done) == len(futures) or any(future.exception() for future in done)


def _locked(items: Iterator[T]) -> Iterator[T]:
    """Yield the items to several threads, each item to one of them."""
    lock = threading.Lock()

    def one() -> T | None:
        with lock:
            return next(items, None)

    return iter(one, None)
