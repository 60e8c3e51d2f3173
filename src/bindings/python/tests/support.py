"""What the tests share: segments that go away, processes that end, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import librl

HERE = os.path.dirname(os.path.abspath(__file__))
DEADLINE_S = 60
_numbers = itertools.count(1)


def new_name():
    """Returns a name that nobody else has, of the shape that tools/test clears away."""
    return f"test-{os.getpid()}-{next(_numbers)}"


class Case(unittest.TestCase):
    def new_segment(self, **options):
        """Makes a segment that goes with the test."""
        name = new_name()
        self.addCleanup(librl.remove, name)
        return librl.Segment(name, **{"keys": 1000, **options})

    def name_of(self, segment):
        return os.path.basename(segment.path).removeprefix("rl.")

    def private(self, **options):
        return librl.Segment.private(clock="manual", **options)


def poll(question, what="it"):
    end = time.monotonic() + DEADLINE_S
    while not (answer := question()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about within {DEADLINE_S} s")
        time.sleep(0.01)
    return answer


def run_python(code, *arguments, check=True, **options):
    """Runs a program of its own; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        **options,
    )
    if check and (done.returncode != 0 or done.stderr):
        raise AssertionError(f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if check else done


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid):
    """Whether a process is there that does not only wait to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Ended(AssertionError):
    """A server that is no longer there."""


class Server:
    """A server on loopback, with workers."""

    STARTS = 3  # another process may be quicker to take a port that was free

    def __init__(self, module, make_arguments, workers, env=None):
        self._command = lambda port: [sys.executable, "-m", module, *make_arguments(port)]
        self._environment = {**os.environ, "PYTHONPATH": HERE, **(env or {})}
        self.workers_wanted = workers
        self.asked = 0  # requests so far; of the last ones no answer may have come yet
        self._seen = set()

    def __enter__(self):
        for starts_left in reversed(range(self.STARTS)):
            self._start()
            try:
                poll(lambda: len(self.workers()) >= self.workers_wanted, "so many workers")
                poll(self._answers, "an answer")
                return self
            except AssertionError as reason:
                told = self.stop()
                if not starts_left or not isinstance(reason, Ended):
                    raise AssertionError(f"{reason}\n{told}") from reason
            except BaseException:
                self.stop()
                raise

    def _start(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            self._command(self.port),
            cwd=HERE,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __exit__(self, *exception):
        self.stop()

    def _answers(self):
        self._must_be_there()
        with contextlib.suppress(OSError):
            return self.get("/health")[0] == 200
        return False

    def _must_be_there(self):
        if self.process.poll() is not None:
            raise Ended(f"the server ended with {self.process.returncode}")

    def workers(self):
        self._must_be_there()
        found = [pid for pid in children_of(self.process.pid) if is_worker(pid)]
        self._seen.update(found)
        return found

    def seen(self):
        """How many workers there ever were, as far as anybody looked."""
        return len(self._seen)

    def get(self, path, headers=()):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request("GET", path, headers=dict(headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status, dict(answer.getheaders())
        finally:
            connection.close()

    def statuses(self, path, count, clients=8):
        """Returns how often each status came; 0 is that of a request that a worker dropped."""

        def one(_):
            self.asked += 1
            try:
                return self.get(path)[0]
            except (OSError, http.client.HTTPException):
                return 0

        with ThreadPoolExecutor(clients) as pool:
            found = list(pool.map(one, range(count)))
        self.workers()
        return {status: found.count(status) for status in set(found)}

    def kill_a_worker(self):
        """Kills one as SIGKILL does, and waits for the next to take its place."""
        victim = self.workers()[0]
        with contextlib.suppress(ProcessLookupError):  # recycled just now
            os.kill(victim, signal.SIGKILL)
        poll(lambda: not is_alive(victim), "the end of a killed worker")
        poll(lambda: len(self.workers()) >= self.workers_wanted, "another worker")

    def stop(self):
        """Ends it and its workers; returns what they had to say."""
        workers = []
        if self.process.poll() is None:
            workers = children_of(self.process.pid)
            self.process.terminate()
        try:
            told, _ = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            told, _ = self.process.communicate(timeout=DEADLINE_S)
        return told


def is_worker(pid):
    """Python's own helper of multiprocessing is none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return is_alive(pid) and b"resource_tracker" not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
