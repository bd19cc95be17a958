"""How the scripts beside this one check and report."""

import asyncio
import inspect
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def step(name):
    """Runs a check, a coroutine too, and says how long it took."""

    def decorate(check):
        begun = time.monotonic()
        if inspect.iscoroutinefunction(check):
            asyncio.run(check())
        else:
            check()
        print(f"{name}: ok ({time.monotonic() - begun:.2f} s)", flush=True)
        return check

    return decorate


def expect(condition, *evidence):
    """Fails with the evidence where the condition does not hold."""
    if not condition:
        raise AssertionError(" ".join(repr(one) for one in evidence))


def equal(found, wanted):
    """Fails where the two differ."""
    expect(found == wanted, found, "is not", wanted)


def refused(kind, call):
    """The error of this kind that the call must end with."""
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"not refused: {result!r}")


def together(tasks):
    """Runs them all at the same time; their results, exceptions included."""
    barrier = Barrier(len(tasks))

    def run(task):
        barrier.wait()
        try:
            return task()
        except Exception as error:  # judged by the caller
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))
