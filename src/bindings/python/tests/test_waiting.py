"""Waiting for a turn: Limiter.acquire, librl.aio.acquire, Limiter.reserve."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from unittest import mock

import librl
import librl.aio
from librl import _librl, _waiting
from support import Case, poll


# Of a limit of one an hour: more than the next call has to wait, less than the one behind it.
BEHIND_S = 5400


class Interrupted(Exception):
    pass


class Reserving(Case):
    def test_reservations_stand_in_line(self):
        segment = self.private()
        limiter = segment.limiter("api", "1/s")
        waits = [limiter.reserve("user").wait for _ in range(3)]
        self.assertEqual(waits, [0.0, 1.0, 2.0])
        self.assertEqual(limiter.reserve("user").at_ns - segment.now_ns(), 3_000_000_000)

    def test_a_reservation_beyond_the_timeout_is_denied_and_costs_nothing(self):
        limiter = self.private().limiter("api", "1/s")
        limiter.try_acquire("user")
        self.assertFalse(limiter.reserve("user", timeout=0.5))
        self.assertTrue(limiter.reserve("user", 1, 1.0))
        with self.assertRaises(ValueError):
            limiter.reserve("user", timeout=float("nan"))
        with self.assertRaises(TypeError):
            limiter.reserve("user", timeout="soon")


class Acquiring(Case):
    def test_a_call_comes_back_no_sooner_than_its_turn(self):
        segment = librl.Segment.private()
        limiter = segment.limiter("api", "20/s burst=1")
        began = segment.now_ns()
        for _ in range(4):
            self.assertTrue(limiter.acquire("user"))
        self.assertGreaterEqual(segment.now_ns() - began, 150_000_000)

    def test_what_would_come_too_late_or_never_is_denied_at_once(self):
        limiter = librl.Segment.private().limiter("api", "1/h")
        self.assertTrue(limiter.acquire("user", timeout=0))
        self.assertEqual(limiter.acquire("user", timeout=10).reason, "limited")
        self.assertEqual(limiter.acquire("user", timeout=-1).reason, "limited")
        self.assertEqual(limiter.acquire("user", 2).reason, "never")
        self.assertEqual(limiter.peek("user").remaining, 0)

    def test_a_window_is_tried_again_when_it_has_room(self):
        segment = librl.Segment.private()
        limiter = segment.limiter("api", "window 1/100ms")
        for _ in range(3):
            self.assertTrue(limiter.acquire("user", timeout=60))

    def test_a_list_of_limits_is_waited_for_too(self):
        limiter = librl.Segment.private().limiter("api", "20/s burst=1, 1000/h")
        for _ in range(3):
            self.assertTrue(limiter.acquire("user", timeout=60))
        self.assertFalse(limiter.acquire("user", 1001, timeout=60))

    def test_of_a_list_the_longest_turn_is_waited_for(self):
        segment = librl.Segment.private()
        limiter = segment.limiter("api", "1000/h, leaky 20/s queue=5")
        began = segment.now_ns()
        for _ in range(3):
            self.assertTrue(limiter.acquire("user"))
        self.assertGreaterEqual(segment.now_ns() - began, 100_000_000)

    def test_of_a_list_a_turn_beyond_the_timeout_is_denied_and_costs_nothing(self):
        limiter = self.private().limiter("api", "10/h, leaky 1/s queue=5")
        self.assertTrue(limiter.acquire("user"))
        denied = limiter.acquire("user", timeout=0.5)
        self.assertEqual((denied.allowed, denied.reason), (False, "limited"))
        self.assertEqual((denied.retry_after, denied.wait), (1.0, 0.0))
        self.assertEqual(limiter[0].peek("user").remaining, 9)
        self.assertEqual(limiter[1].peek("user").wait, 1.0)

    def test_others_run_while_one_waits(self):
        limiter = librl.Segment.private().limiter("api", "1/h")
        limiter.try_acquire("user")
        threading.Thread(target=lambda: limiter.acquire("user"), daemon=True).start()
        # That this goes on, while it has its place in line, is what the test is about.
        poll(lambda: limiter.peek("user").retry_after > BEHIND_S, "the other's reservation")

    def test_an_exception_of_a_signal_ends_the_wait_and_gives_the_turn_back(self):
        limiter = librl.Segment.private().limiter("api", "1/h")
        limiter.try_acquire("user")

        def interrupt(*_):
            raise Interrupted

        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with self.assertRaises(Interrupted):
            limiter.acquire("user")
        self.assertLess(limiter.peek("user").retry_after, BEHIND_S)

    def test_a_signal_without_one_does_not_cut_it_short(self):
        segment = librl.Segment.private()
        limiter = segment.limiter("api", "2/s burst=1")
        limiter.try_acquire("user")
        seen = []
        before = signal.signal(signal.SIGALRM, lambda *_: seen.append(segment.now_ns()))
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        began = segment.now_ns()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        self.assertTrue(limiter.acquire("user"))
        self.assertEqual(len(seen), 1)
        self.assertGreaterEqual(segment.now_ns() - began, 490_000_000)

    def test_on_a_manual_clock_it_waits_for_the_hand(self):
        segment = self.private()
        limiter = segment.limiter("api", "1/h")
        limiter.try_acquire("user")
        came = []
        thread = threading.Thread(target=lambda: came.append(limiter.acquire("user")))
        thread.start()
        poll(lambda: limiter.peek("user").retry_after > BEHIND_S, "the reservation")
        self.assertEqual(came, [])
        segment.advance_clock(3600)
        thread.join()
        self.assertTrue(came[0])

    def test_when_nobody_moves_the_clock_the_turn_is_given_back(self):
        limiter = self.private().limiter("api", "10/s burst=1")
        limiter.try_acquire("user")
        self.assertFalse(limiter.acquire("user", timeout=1))
        self.assertEqual(limiter.peek("user").retry_after, 0.1)


class Interrupting:
    """Raises before the step of that number which Python takes, as a signal's handler could."""

    def __init__(self, step):
        self._left = step

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *exception):
        sys.settrace(self._before)

    def _trace(self, frame, event, _):
        if frame.f_globals.get("__package__") != "librl":
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                raise Interrupted
        return self._trace


class Done:
    """What a coroutine goes on from at once."""

    def __await__(self):
        return iter(())


class AtAnyStep(Case):
    """The hand moves the clock as far as a call sleeps, so that nobody has to wait."""

    LIMITS = ["1/h", "1/h, 10/d", "1/h, leaky 1/h queue=9"]

    def charged_when_interrupted(self, limits, acquire):
        """Interrupts a call at each of its steps; returns for each whether it stayed charged."""
        stayed = []
        while True:
            segment = self.private()
            limiter = segment.limiter("api", limits)
            limiter.try_acquire("user")
            owed_ns = self.owed_ns(limiter)
            began = segment.now_ns()
            decision = None
            with contextlib.suppress(Interrupted), Interrupting(len(stayed) + 1):
                decision = acquire(limiter)
            passed = segment.now_ns() - began
            if decision is not None:
                self.assertTrue(decision)
                self.assertGreaterEqual(passed, 3_600_000_000_000)
                return stayed
            pairs = zip(self.owed_ns(limiter), owed_ns)
            stayed.append(any(now > max(then - passed, 0) for now, then in pairs))

    def owed_ns(self, limiter):
        return [one.peek("user").reset_after_ns for one in limiter]

    def assert_given_back(self, stayed):
        # It is kept with the end of its block: the last steps of all only hand on the answer.
        self.assertGreater(len(stayed), 50)
        self.assertLessEqual(stayed.count(True), 3, stayed)
        self.assertEqual(stayed, sorted(stayed))

    def test_an_exception_gives_back_the_turn(self):
        def acquire(limiter):
            with mock.patch("time.sleep", lambda _: limiter.segment.advance_clock(3600)):
                return limiter.acquire("user")

        for limits in self.LIMITS:
            with self.subTest(limits):
                self.assert_given_back(self.charged_when_interrupted(limits, acquire))

    def test_in_a_task_too(self):
        def acquire(limiter):
            def sleep(_):
                limiter.segment.advance_clock(3600)
                return Done()

            with mock.patch("asyncio.sleep", sleep):
                with contextlib.closing(librl.aio.acquire(limiter, "user")) as steps:
                    try:
                        steps.send(None)
                    except StopIteration as end:
                        return end.value

        for limits in self.LIMITS:
            with self.subTest(limits):
                self.assert_given_back(self.charged_when_interrupted(limits, acquire))


class InAChild(Case):
    def test_the_turn_of_a_parent_is_not_given_back(self):
        segment = self.new_segment()
        limiter = segment.limiter("api", "1/h")
        limiter.try_acquire("user")
        waits = _waiting.sleeps(turn := _librl.Turn(limiter, "user"), None)
        with turn:
            next(waits)
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    status = 10 * turn.give_back()
                    turn.__exit__(KeyError)
                    del turn, waits
                finally:
                    os._exit(status)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
            self.assertGreater(limiter.peek("user").retry_after, BEHIND_S)
            self.assertTrue(turn.give_back())
        self.assertLessEqual(limiter.peek("user").retry_after, BEHIND_S)


class InAnEventLoop(Case):
    def setUp(self):
        self.segment = librl.Segment.private()

    def test_other_tasks_run_while_one_waits(self):
        limiter = self.segment.limiter("api", "20/s burst=1")

        async def both():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0.001)

            other = asyncio.create_task(tick())
            began = self.segment.now_ns()
            for _ in range(4):
                self.assertTrue(await librl.aio.acquire(limiter, "user"))
            other.cancel()
            return self.segment.now_ns() - began, ticks

        passed_ns, ticks = asyncio.run(both())
        self.assertGreaterEqual(passed_ns, 150_000_000)
        self.assertGreater(ticks, 3)

    def test_a_task_that_is_cancelled_gives_its_turn_back(self):
        limiter = self.segment.limiter("api", "1/h")
        limiter.try_acquire("user")

        async def cancelled():
            task = asyncio.create_task(librl.aio.acquire(limiter, "user"))
            while limiter.peek("user").retry_after < BEHIND_S:
                await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(asyncio.wait_for(cancelled(), 60))
        self.assertLess(limiter.peek("user").retry_after, BEHIND_S)

    def test_a_denial_comes_at_once_and_wrong_arguments_are_told(self):
        limiter = self.segment.limiter("api", "1/h")

        async def ask():
            self.assertTrue(await librl.aio.acquire(limiter, "user", timeout=0))
            self.assertFalse(await librl.aio.acquire(limiter, "user", timeout=1))
            with self.assertRaises(ValueError):
                await librl.aio.acquire(limiter, "")
            with self.assertRaises(TypeError):
                await librl.aio.acquire(limiter, 5)

        asyncio.run(ask())

    def test_tasks_wait_side_by_side(self):
        limiter = self.segment.limiter("api", "100/s burst=1")

        async def all_of_them():
            return await asyncio.gather(*(librl.aio.acquire(limiter, "user") for _ in range(20)))

        began = time.monotonic()
        self.assertTrue(all(asyncio.run(all_of_them())))
        self.assertGreaterEqual(time.monotonic() - began, 0.18)
