from __future__ import annotations

import asyncio
import threading

import pytest

from longshore.api.workers import Workers


def test_a_function_runs_in_another_thread_and_its_result_comes_back() -> None:
    async def call() -> tuple[int, str]:
        def work(number: int, *, word: str) -> tuple[int, str]:
            return number, f"{word} in {threading.current_thread().name.partition('_')[0]}"

        return await workers.run(work, 1, word="done")

    workers = Workers(1)
    assert asyncio.run(call()) == (1, "done in longshore")
    workers.close()


def test_what_it_raises_comes_back_too() -> None:
    def fail() -> None:
        raise LookupError("nothing here")

    workers = Workers(1)
    with pytest.raises(LookupError, match="nothing here"):
        asyncio.run(workers.run(fail))
    workers.close()


def test_the_event_loop_goes_on_while_functions_wait() -> None:
    """Two functions that need each other, and a coroutine that needs both."""

    async def both() -> list[int]:
        return list(await asyncio.gather(workers.run(meet.wait), workers.run(meet.wait)))

    meet = threading.Barrier(2)
    workers = Workers(2)
    assert sorted(asyncio.run(both())) == [0, 1]
    workers.close()


def test_closing_waits_for_what_is_running() -> None:
    done: list[str] = []

    async def begin() -> None:
        def work() -> None:
            begun.set()
            release.wait()
            done.append("all of it")

        running = asyncio.ensure_future(workers.run(work))
        await workers.run(begun.wait)
        release.set()
        workers.close()
        assert done == ["all of it"]
        await running

    begun, release = threading.Event(), threading.Event()
    workers = Workers(2)
    asyncio.run(begin())


def test_a_task_that_is_cancelled_waits_for_the_function_it_began() -> None:
    done: list[str] = []

    async def cancel() -> None:
        def work() -> None:
            begun.set()
            release.wait()
            done.append("all of it")

        running = asyncio.ensure_future(workers.run(work))
        await workers.run(begun.wait)
        running.cancel()
        # It has the chance to end now, and doesn't take it.
        await asyncio.sleep(0)
        assert not running.done()
        running.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert done == ["all of it"]

    begun, release = threading.Event(), threading.Event()
    workers = Workers(2)
    asyncio.run(cancel())
    workers.close()


def test_a_function_that_has_not_begun_is_cancelled_with_its_task() -> None:
    called: list[str] = []

    async def cancel() -> None:
        first = asyncio.ensure_future(workers.run(release.wait))
        second = asyncio.ensure_future(workers.run(called.append, "second"))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        await first

    release = threading.Event()
    workers = Workers(1)
    asyncio.run(cancel())
    workers.close()
    assert called == []


def test_threads_are_begun_when_they_are_needed_and_used_again() -> None:
    async def one_by_one() -> set[str]:
        return {await workers.run(lambda: threading.current_thread().name) for _ in range(20)}

    async def at_once() -> None:
        meet = threading.Barrier(3)
        await asyncio.gather(*(workers.run(meet.wait) for _ in range(3)))

    workers = Workers(3)
    assert asyncio.run(one_by_one()) == {"longshore_0"}
    asyncio.run(at_once())
    assert asyncio.run(one_by_one()) <= {"longshore_0", "longshore_1", "longshore_2"}
    workers.close()


def test_what_waits_for_a_thread_is_done_before_they_go() -> None:
    done: list[int] = []

    async def begin() -> None:
        running = asyncio.ensure_future(workers.run(release.wait))
        waiting = [asyncio.ensure_future(workers.run(done.append, each)) for each in range(5)]
        await asyncio.sleep(0)
        release.set()
        workers.close()
        await asyncio.gather(running, *waiting)
        with pytest.raises(RuntimeError, match="sent home"):
            await workers.run(done.append, 5)

    release = threading.Event()
    workers = Workers(1)
    asyncio.run(begin())
    assert done == [0, 1, 2, 3, 4]


def test_a_thread_that_can_not_be_begun_costs_nothing_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin_thread, failures = threading.Thread.start, ["one", "two", "three"]

    def start(thread: threading.Thread) -> None:
        if failures and thread.name.startswith("longshore_"):
            raise RuntimeError(failures.pop())
        begin_thread(thread)

    async def work() -> None:
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"two|three"):
                await workers.run(len, "")
        failures.clear()
        assert await workers.run(len, "a") == 1
        failures.append("one")
        # There is one thread; a second one can't be had, and what waits for it has its turn.
        both = asyncio.gather(workers.run(len, "ab"), workers.run(len, "abc"))
        assert list(await both) == [2, 3]

    monkeypatch.setattr(threading.Thread, "start", start)
    workers = Workers(2)
    asyncio.run(work())
    workers.close()
