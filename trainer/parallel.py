"""The same work on many things, several processes at a time."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def each(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, done: Callable[[Job], None] = lambda job: None
) -> list[Result]:
    """Do all jobs; the first failure ends it all.

    Args:
        work: a function of a module, so that another process finds it.
        jobs: what it is given, one after the other.
        processes: how many at a time; 1: all in this one.
        done: called here when a job is finished.

    Returns:
        What `work` returned, in the order of the jobs.
    """
    processes = min(processes, len(jobs))
    if processes <= 1:
        return [_and_tell(work, job, done) for job in jobs]
    # Spawned, not forked: torch and numba hold threads and locks that a fork would copy half-way.
    # Ctrl-C reaches every process of a terminal: this one alone answers it.
    pool = ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        futures = {pool.submit(work, job): number for number, job in enumerate(jobs)}
        for future in as_completed(futures):
            future.result()
            done(jobs[futures[future]])
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def each_shown(
    work: Callable[[Job], Result], jobs: Sequence[Job], processes: int, name: Callable[[Job], str]
) -> list[Result]:
    """Do all jobs as :func:`each` does, with a bar of progress on standard error that names what was last done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("records", total=len(jobs))
        return each(work, jobs, processes, lambda job: progress.update(task, advance=1, description=name(job)))


def _and_tell(work: Callable[[Job], Result], job: Job, done: Callable[[Job], None]) -> Result:
    result = work(job)
    done(job)
    return result
