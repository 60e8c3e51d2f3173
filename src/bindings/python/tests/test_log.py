"""The logger "librl": when its lines come, and what becomes of an exception that a handler raises."""

import contextlib
import logging
import os
import signal
import sys

import librl
from support import Case, new_name, poll

LOGGER = logging.getLogger("librl")


class Handler(logging.Handler):
    """Does something with each line."""

    def __init__(self, do):
        super().__init__()
        self._do = do
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())
        self._do()


@contextlib.contextmanager
def handling(do):
    handler = Handler(do)
    was_propagated, LOGGER.propagate = LOGGER.propagate, False
    LOGGER.addHandler(handler)
    try:
        yield handler
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.propagate = was_propagated


def raising(kind):
    def do():
        raise kind

    return do


@contextlib.contextmanager
def unraisable():
    """Collects the exceptions that Python cannot raise anywhere."""
    seen = []
    before, sys.unraisablehook = sys.unraisablehook, lambda told: seen.append(told.exc_type)
    try:
        yield seen
    finally:
        sys.unraisablehook = before


class Lines(Case):
    def setUp(self):
        self.segment = self.private()
        self.segment.limiter("api", "10/s")

    def test_a_handler_that_calls_the_library_does_not_change_what_an_error_says(self):
        def make_another_error():
            with self.assertRaises(librl.BadLimitError):
                librl.check_limits("of the handler")

        # Its first limit is another one than the segment's, which is said; for the second there is
        # no room, which is the error.
        segment = self.new_segment(policies=2)
        segment.limiter("api", "10/s")
        with handling(make_another_error) as handler:
            with self.assertRaises(librl.TooManyError) as raised:
                segment.limiter("api", "5/s, 8/h")
        self.assertEqual(len(handler.lines), 1)
        self.assertNotIn("of the handler", str(raised.exception))
        self.assertIn("polic", str(raised.exception))

    def test_what_ends_the_program_goes_to_the_caller(self):
        for kind in (KeyboardInterrupt, SystemExit):
            with self.subTest(kind), handling(raising(kind)) as handler:
                with self.assertRaises(kind):
                    self.segment.limiter("api", "5/s")
            self.assertEqual(len(handler.lines), 1)

    def test_a_mistake_of_a_handler_stays_its_own(self):
        with unraisable() as seen, handling(raising(ZeroDivisionError)):
            self.assertTrue(self.segment.limiter("api", "5/s").differs)
        self.assertEqual(seen, [ZeroDivisionError])

    def test_the_lines_behind_that_are_told_too_and_the_first_exception_counts(self):
        self.segment.limiter("list", "5/s, 8/h")
        kinds = [KeyboardInterrupt, SystemExit]

        def do():
            raise kinds[len(handler.lines) - 1]

        with unraisable() as seen, handling(do) as handler:
            with self.assertRaises(KeyboardInterrupt):
                self.segment.limiter("list", "6/s, 9/h")
        self.assertEqual(["#2" in line for line in handler.lines], [False, True])
        self.assertEqual(seen, [SystemExit])

    def test_a_real_ctrl_c_in_a_handler_goes_to_the_caller(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        with handling(lambda: signal.raise_signal(signal.SIGINT)):
            with self.assertRaises(KeyboardInterrupt):
                self.segment.limiter("api", "5/s")


class Endings(Case):
    """Permits of a process that goes on without a segment, and finds it as one of them ends."""

    MANY = 4000  # one is dropped in 10 ms, and the segment looked for once a second

    def setUp(self):
        folder = f"/dev/shm/{new_name()}"
        with self.assertLogs("librl", "WARNING"):
            segment = librl.Segment(f"{folder}/limits", on_failure="local", keys=100)
        uploads = segment.limiter("uploads", f"concurrency {self.MANY}")
        self.permits = [uploads.permit("user") for _ in range(self.MANY)]
        os.mkdir(folder)
        self.addCleanup(os.rmdir, folder)
        self.addCleanup(librl.remove, f"{folder}/limits")
        librl.Segment(f"{folder}/limits", keys=100)

    def drop(self, handler):
        """Drops one after the other, until there is something to say."""
        poll(lambda: handler.lines or self.permits.pop() is None, "a line")

    def test_what_there_is_to_say_at_its_end_is_told_then(self):
        with handling(lambda: None) as handler:
            self.drop(handler)
        self.assertIn("available again", handler.lines[0])

    def test_an_exception_that_is_on_its_way_is_not_disturbed(self):
        with unraisable() as seen, handling(raising(SystemExit)) as handler:
            with self.assertRaises(ZeroDivisionError):
                try:
                    raise ZeroDivisionError
                finally:
                    self.drop(handler)
        self.assertEqual(seen, [SystemExit] * len(handler.lines))

    def test_a_ctrl_c_in_a_handler_comes_when_it_has_ended(self):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        with unraisable() as seen, handling(raising(KeyboardInterrupt)) as handler:
            with self.assertRaises(KeyboardInterrupt):
                self.drop(handler)
        self.assertEqual(seen, [KeyboardInterrupt] * (len(handler.lines) - 1))


class Decisions(Case):
    """A segment that is not there at first: that it is there now is said in a decision."""

    def setUp(self):
        self.folder = f"/dev/shm/{new_name()}"
        self.path = f"{self.folder}/limits"
        with self.assertLogs("librl", "WARNING"):
            self.segment = librl.Segment(self.path, on_failure="deny")
        self.limiter = self.segment.limiter("api", "10/h")
        self.uploads = self.segment.limiter("uploads", "concurrency 1")

    def make(self):
        os.mkdir(self.folder)
        self.addCleanup(os.rmdir, self.folder)
        self.addCleanup(librl.remove, self.path)
        return librl.Segment(self.path)

    def test_of_one_whose_answer_ctrl_c_took_nothing_is_charged(self):
        seen = self.make().limiter("api", "10/h")
        with handling(raising(KeyboardInterrupt)), self.assertRaises(KeyboardInterrupt):
            poll(lambda: self.limiter.try_acquire("user"), "the segment")
        self.assertEqual(seen.peek("user").remaining, 10)

    def test_a_permit_is_given_back(self):
        seen = self.make().limiter("uploads", "concurrency 1")
        with handling(raising(KeyboardInterrupt)), self.assertRaises(KeyboardInterrupt):
            poll(lambda: self.uploads.permit("user"), "the segment")
        self.assertEqual(seen.peek_permit("user").remaining, 1)
