"""While the tests run: the probes and the machine's resources, asked beside them in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from ci_scripts import aborts
from ci_scripts.gates import probes, resources
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.line_file import LineFile

INTERVAL_SECONDS = 15.0
# A probe that has just failed is asked again, so that the end of the tests does not hide that it is red.
LAST_ANSWER_SECONDS = probes.AGAIN_SECONDS + 1.0
STOP_SECONDS = 5.0
LOOK_SECONDS = 0.05


class Watch:
    """A context manager: inside, every probe is asked every ``interval`` seconds, counted from start to start, and
    disk and memory are sampled, at the start and at the end too.

    Each probe of each shard has a thread of its own, so that one that hangs keeps no other from being asked. Nothing
    is raised into the tests. At the end an answer under way is waited for 3 s; an abort does not wait.
    """

    def __init__(
        self, context: GateContext, shards: Sequence[Mapping[str, str]], interval: float = INTERVAL_SECONDS
    ) -> None:
        self._context = context
        self._interval = interval
        self._answers = probes.answers_file(context.workspace)
        self._samples = resources.samples_file(context.workspace)
        self._ending, self._given_up = threading.Event(), threading.Event()
        self._threads = [self._thread("resources", self._sample)]
        for target in probes.targets(context, shards):
            asker = _Asker(context, target, self._answers, self._given_up)
            self._threads.append(self._thread(target.probe.name, asker))

    def _thread(self, name: str, act: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._repeat, args=(act,), name=f"watch {name}", daemon=True)

    def __enter__(self) -> Self:
        try:
            with aborts.deferred():
                for thread in self._threads:
                    thread.start()
        except BaseException:
            self._given_up.set()
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._end()

    def _repeat(self, act: Callable[[], None]) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            act()
            # A question that took longer than an interval is followed by the next whole one.
            late = max(0.0, time.monotonic() - due)
            due += self._interval * (1 + late // self._interval)
            self._ending.wait(due - time.monotonic())

    def _sample(self) -> None:
        resources.record(self._samples, self._context.workspace.root)

    def _end(self) -> None:
        with aborts.deferred():
            self._ending.set()
            self._join(LAST_ANSWER_SECONDS, lambda: aborts.under_way() is None and not self._given_up.is_set())
            # From here on commands are stopped, and no answer is noted any more.
            self._given_up.set()
            self._join(STOP_SECONDS, lambda: True)
            self._sample()
            self._answers.close()
            self._samples.close()

    def _join(self, seconds: float, still: Callable[[], bool]) -> None:
        deadline = time.monotonic() + seconds
        while still() and time.monotonic() < deadline and any(thread.is_alive() for thread in self._threads):
            time.sleep(LOOK_SECONDS)


class _Asker:
    """Asks one probe of one shard whenever it is called, notes the answer, and says when it changes."""

    def __init__(
        self,
        context: GateContext,
        target: probes.Target,
        answers: LineFile,
        given_up: threading.Event,
    ) -> None:
        self._context = context
        self._target = target
        self._answers = answers
        self._given_up = given_up
        self._red = False

    def __call__(self) -> None:
        started, clock = datetime.now(UTC), time.monotonic()
        try:
            answer = probes.ask_twice(self._context, self._target, self._given_up.wait, self._given_up)
        except Exception as error:
            # What cannot be asked is not known to be alive.
            problem = self._context.record.masked(f"it could not be asked: {type(error).__name__}: {error}")
            answer = probes.Answer(started, round(time.monotonic() - clock, 3), problem)
        if not self._given_up.is_set():
            probes.record(self._answers, "during", self._target, answer)
            self._say(answer)

    def _say(self, answer: probes.Answer) -> None:
        if (answer.problem is not None) == self._red:
            return
        self._red = not self._red
        where = "" if self._target.shard is None else f" of shard {self._target.shard}"
        state = f"red: {answer.problem}" if self._red else "green again"
        try:
            self._context.record.say(f"the probe {self._target.probe.name}{where} is {state}")
        except Exception:
            # Whoever watched has gone away; the tests go on.
            return
