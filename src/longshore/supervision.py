"""The processes of a server, and the first one, which supervises them.

The first process has loaded all code and forks the others, which share the memory of it and begin
within hundredths of a second. It serves nobody: there is no event loop, no thread and no open
database in it that a fork would have in two processes. Where the system's own libraries have
threads, as on macOS, nothing is safe to fork, and each process is started anew.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

    Serve: TypeAlias = Callable[[Callable[[], None]], None]

Method: TypeAlias = Literal["fork", "spawn"]

METHOD: Final[Method] = "fork" if sys.platform == "linux" else "spawn"
"""How processes come to be."""

REPLACED: Final = signal.SIGUSR1
"""The signal that tells a process to end which another one has taken the place of."""

_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST_PAUSE_SECONDS = 60
_MOST_FAILED_STARTS = 5

_log = logging.getLogger(__name__)


class NobodyServes(Exception):
    """A process ended before it came to serve, and there is no other one that does."""


class Supervisor:
    """Has processes serve until a signal says stop, and replaces those that end.

    SIGTERM and SIGINT let all of them finish what they are at. SIGHUP puts new ones in their
    places, one after the other, so that clients are answered all the while; where there is a
    terminal, the signal tells that it is gone, and they end. When this process is killed, the
    others end as well.

    Args:
        serve: serves until SIGTERM, SIGINT or `REPLACED`, in a process of its own; it calls what it
            is handed as soon as it answers clients.
        count: how many processes there are to be.
        ending: is called in this process when the end begins.
        method: how processes come to be; unless they are forked, `serve` is pickled.
        may_replace: is called at SIGHUP, and says whether new processes could serve.
    """

    def __init__(
        self,
        serve: Serve,
        count: int,
        ending: Callable[[], None],
        method: Method = METHOD,
        *,
        may_replace: Callable[[], bool] = lambda: True,
    ) -> None:
        self._serve = serve
        self._count = count
        self._ending = ending
        self._method = method
        self._may_replace = may_replace
        self._lifeline = Lifeline()
        self._processes: list[_Process] = []
        self._is_ending = False
        self._failed_starts = 0
        self._next_start = 0.0

    def run(self) -> None:
        """Return when all processes have ended.

        Raises:
            NobodyServes: none came to serve, or none did in the place of the last one.
        """
        is_terminals = has_terminal()
        with _heard_signals() as signals:
            self._start_missing()
            while self._processes or not self._is_ending:
                news = [process.news for process in self._processes]
                ready = wait([signals, *news], self._seconds_to_next_start())
                for number in _read(signals) if signals in ready else ():
                    if number == signal.SIGHUP and not is_terminals:
                        if self._may_replace():
                            self._replace_all()
                    else:
                        self._end(number)
                for process in [each for each in self._processes if each.news in ready]:
                    if process.has_begun():
                        self._begun()
                    else:
                        self._ended(process)
                self._start_missing()

    def _start_missing(self) -> None:
        while not self._is_ending and self._lacks_one() and time.monotonic() >= self._next_start:
            try:
                self._processes.append(_Process(self._method, self._serve, self._lifeline))
            except OSError as error:
                _log.error("a server process can't be started: %s", error)
                self._failed(is_hopeless=False)

    def _lacks_one(self) -> bool:
        current = [process for process in self._processes if not process.is_outdated]
        if len(current) < len(self._processes):
            # One after the other, for there is no hurry.
            return all(each.is_serving for each in current) and len(current) < self._count
        return len(current) < self._count

    def _seconds_to_next_start(self) -> float | None:
        if self._is_ending or not self._lacks_one():
            return None
        return max(0.0, self._next_start - time.monotonic())

    def _begun(self) -> None:
        self._failed_starts = 0
        outdated = (each for each in self._processes if each.is_outdated and not each.is_ending)
        if process := next(outdated, None):
            process.end(REPLACED)

    def _ended(self, process: _Process) -> None:
        self._processes.remove(process)
        if self._is_ending or process.is_ending:
            return
        if process.is_serving:
            _log.warning("server process %d ended (%s); another one replaces it", *process.told())
            return
        _log.error("server process %d ended before it served (%s)", *process.told())
        # One that was killed tells nothing about the next one.
        self._failed(is_hopeless=not process.was_killed)

    def _failed(self, *, is_hopeless: bool) -> None:
        self._failed_starts += 1
        is_hopeless = is_hopeless or self._failed_starts >= _MOST_FAILED_STARTS
        if is_hopeless and not self._processes:
            raise NobodyServes
        pause = min(2 ** (self._failed_starts - 1), _LONGEST_PAUSE_SECONDS)
        self._next_start = time.monotonic() + pause

    def _replace_all(self) -> None:
        # Whoever asks has mended what there was to mend.
        self._failed_starts, self._next_start = 0, 0.0
        for process in self._processes:
            process.is_outdated = True

    def _end(self, number: int) -> None:
        if not self._is_ending:
            self._is_ending = True
            self._ending()
            number = signal.SIGTERM
        # Who interrupts a second time doesn't want to wait for clients.
        for process in self._processes:
            process.end(number)


class Lifeline:
    """What tells processes that the one which made it is gone, even killed."""

    def __init__(self) -> None:
        self._held_by_them, self._held_by_us = multiprocessing.Pipe(duplex=False)

    def hold(self) -> None:
        """Let this process, which isn't the one that made it, end with that one."""
        # The kernel closes the last end of its kind when the process dies that has it.
        self._held_by_us.close()
        threading.Thread(target=self._watch, name="supervisor's end", daemon=True).start()

    def _watch(self) -> None:
        # Signals are for the first thread, which wakes up from them.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with suppress(EOFError):
            self._held_by_them.recv()
        # It would go on holding the port, and nobody would be left to stop it.
        os.kill(os.getpid(), signal.SIGTERM)


class _Process:
    """A process that serves.

    Attributes:
        news: has something to be read when the process begins to serve, and when it ends.
        is_serving: whether it has begun to.
        is_ending: whether it was told to end.
        is_outdated: whether another one is to take its place.
    """

    def __init__(self, method: Method, serve: Serve, lifeline: Lifeline) -> None:
        self.is_serving = self.is_ending = self.is_outdated = False
        self.news, telling = multiprocessing.Pipe(duplex=False)
        context = get_context("fork") if method == "fork" else get_context("spawn")
        self._process = context.Process(target=_run, args=(serve, telling, lifeline))
        # Until it has handlers of its own, a signal to the new process would count as one to us.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        telling.close()

    def has_begun(self) -> bool:
        """Tell, when there is something to read, whether the process began or ended."""
        try:
            self.news.recv()
        except EOFError:
            self.news.close()
            self._process.join()
            return False
        self.is_serving = True
        return True

    def end(self, number: int) -> None:
        """Let it end."""
        self.is_ending = True
        if self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, number)

    @property
    def was_killed(self) -> bool:
        """Whether a signal has ended it."""
        return (self._process.exitcode or 0) < 0

    def told(self) -> tuple[int | None, str]:
        """Return the id of a process that has ended, and how it did."""
        code = self._process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if self.was_killed else f"exit code {code}"
        return self._process.pid, how


def _run(serve: Serve, telling: Connection, lifeline: Lifeline) -> None:
    """Serve, as a process of its own."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A terminal tells every process that it is gone; the first one decides what that means.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
        lifeline.hold()
        serve(lambda: telling.send(None))


@contextmanager
def _heard_signals() -> Iterator[int]:
    """Let signals do nothing but be there to be read, as bytes, from the descriptor it yields."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    heard = set(_HEARD)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        # nohup(1) has made it so, and means it.
        heard.remove(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in heard}
    signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _read(signals: int) -> Iterable[int]:
    return os.read(signals, 1_024)


def has_terminal() -> bool:
    """Tell whether this process belongs to a terminal, whose end a SIGHUP then tells."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
