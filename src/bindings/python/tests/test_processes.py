"""Many processes, forks, the end of the interpreter, and several interpreters."""

import multiprocessing
import os
import signal
import sys
import textwrap
import unittest

import librl
from support import Case, poll, run_python


def count_allowed(name, policy, tries):
    limiter = librl.Segment.open(name).limiter(policy)
    return sum(bool(limiter.try_acquire("user")) for _ in range(tries))


class Processes(Case):
    def test_a_limit_holds_for_all_processes_together(self):
        name = self.name_of(self.new_segment())
        librl.Segment.open(name).limiter("api", "500/d")
        for method in ("fork", "spawn", "forkserver"):
            with self.subTest(method):
                limiter = librl.Segment.open(name).limiter("api")
                limiter.reset("user")
                with multiprocessing.get_context(method).Pool(4) as pool:
                    allowed = pool.starmap(count_allowed, [(name, "api", 300)] * 4)
                self.assertEqual(sum(allowed), 500)

    def test_a_limiter_made_before_a_fork_works_in_the_children(self):
        limiter = self.new_segment().limiter("api", "100/d")
        pids = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                allowed = 255
                try:
                    allowed = sum(bool(limiter.try_acquire("user")) for _ in range(60))
                finally:
                    os._exit(allowed)
            pids.append(pid)
        allowed = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        self.assertEqual(sum(allowed), 100)

    def test_killed_processes_leave_the_limit_as_it_is(self):
        segment = self.new_segment()
        limiter = segment.limiter("api", "1000000/d")
        children = [
            multiprocessing.get_context("spawn").Process(
                target=count_allowed, args=(self.name_of(segment), "api", 10**9)
            )
            for _ in range(2)
        ]
        for child in children:
            child.start()
        poll(lambda: limiter.peek("user").remaining < 999_000, "the calls of the children")
        for child in children:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        left = limiter.peek("user").remaining
        self.assertTrue(limiter.try_acquire("user", left))
        self.assertFalse(limiter.try_acquire("user", 1000))


class TheEnd(Case):
    """Programs that end with things of ours in every state: exit code 0, no word on stderr."""

    def run_to_its_end(self, code):
        return run_python(textwrap.dedent(code), self.name_of(self.new_segment()))

    def test_handles_permits_and_decisions_may_be_left(self):
        self.run_to_its_end(
            """
            import librl, sys
            segment = librl.Segment.open(sys.argv[1])
            limiter = segment.limiter("api", "10/s")
            permit = segment.limiter("uploads", "concurrency 1").permit("user")
            decision = limiter.try_acquire("user")
            sys.modules["keeps"] = limiter
            cycle = [limiter, permit, decision]
            cycle.append(cycle)
            """
        )

    def test_calls_at_exit_and_in_finalizers_work(self):
        told = self.run_to_its_end(
            """
            import atexit, librl, sys
            limiter = librl.Segment.open(sys.argv[1]).limiter("api", "10/h")
            class Late:
                def __init__(self): self.ask = limiter.try_acquire
                def __del__(self): print(self.ask("user").remaining)
            atexit.register(lambda: print(limiter.try_acquire("user").remaining))
            late = Late()
            """
        )
        self.assertEqual(told.split(), ["9", "8"])

    def test_threads_may_still_be_waiting(self):
        self.run_to_its_end(
            """
            import librl, sys, threading
            limiter = librl.Segment.open(sys.argv[1]).limiter("api", "1/h")
            limiter.try_acquire("user")
            threading.Thread(target=limiter.acquire, args=("user",), daemon=True).start()
            while limiter.peek("user").retry_after < 5400: pass
            """
        )

    def test_an_interrupted_program_gives_its_turn_back(self):
        segment = self.new_segment()
        limiter = segment.limiter("api", "1/h")
        limiter.try_acquire("user")
        code = """
            import librl, os, signal, sys, threading
            limiter = librl.Segment.open(sys.argv[1]).limiter("api")
            def interrupt():
                while limiter.peek("user").retry_after < 5400: pass
                os.kill(os.getpid(), signal.SIGINT)
            threading.Thread(target=interrupt).start()
            limiter.acquire("user")
            """
        done = run_python(textwrap.dedent(code), self.name_of(segment), check=False)
        self.assertEqual(done.returncode, -signal.SIGINT)
        self.assertIn("KeyboardInterrupt", done.stderr)
        self.assertLess(limiter.peek("user").retry_after, 5400)

    def test_lines_of_the_library_reach_stderr_when_nobody_set_logging_up(self):
        code = """
            import librl
            librl.Segment("/nowhere-at-all/limits", on_failure="allow").limiter("api", "1/h")
            """
        done = run_python(textwrap.dedent(code), check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn("/nowhere-at-all", done.stderr)

    def test_a_log_handler_may_call_the_library_and_may_fail(self):
        code = """
            import librl, logging
            limiter = librl.Segment.private().limiter("log", "1/h")
            class Handler(logging.Handler):
                def handle(self, record):
                    print("asked", bool(limiter.try_acquire("line")))
                    raise OSError("no room")
            logging.getLogger("librl").addHandler(Handler())
            segment = librl.Segment("/nowhere-at-all/limits", on_failure="allow")
            print(bool(segment.limiter("api", "1/h").try_acquire("user")))
            """
        done = run_python(textwrap.dedent(code), check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "asked True\nTrue\n"))
        self.assertIn("no room", done.stderr)


class Interpreters(Case):
    CODE = """
        import librl
        limiter = librl.Segment.open({name!r}).limiter("api", "100/d")
        assert limiter.try_acquire("user")
        permit = librl.Segment.open({name!r}).limiter("uploads", "concurrency 9").permit("user")
        assert permit
        try:
            librl.Segment("a/b")
        except librl.BadNameError:
            pass
        else:
            raise AssertionError("no error")
        """

    def test_each_has_a_module_of_its_own_and_all_share_the_limit(self):
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            self.skipTest("this Python cannot make interpreters")
        segment = self.new_segment()
        code = textwrap.dedent(self.CODE.format(name=self.name_of(segment)))
        for _ in range(3):
            one = interpreters.create()
            try:
                interpreters.run_string(one, f"import sys\nsys.path[:] = {sys.path!r}\n" + code)
            finally:
                interpreters.destroy(one)
        self.assertEqual(segment.limiter("api").peek("user").remaining, 97)
        exec(code, {})  # and here, too
        self.assertEqual(segment.limiter("api").peek("user").remaining, 96)


class Leaks(unittest.TestCase):
    def test_what_is_made_is_freed(self):
        code = """
            import gc, librl, sys
            segment = librl.Segment.private()
            def use():
                limiter = segment.limiter("api", "5/s, 100/h")
                decision = limiter[0].try_acquire("user" * 20)
                limiter.headers(decision); repr(decision); decision.retry_after
                limiter.try_acquire_many(["a", "b"] * 10)
                for wrong in (5, "", None):
                    try: limiter.try_acquire(wrong)
                    except (TypeError, ValueError): pass
                with segment.limiter("uploads", "concurrency 1").permit("user"): pass
                librl.composite_key("a", "b"); librl.address_key("::1")
                segment.limiter("hits", "counter").count("user", 1, 60).reason
            def left():
                gc.collect()
                kinds = (librl.Limiter, librl.Decision, librl.Permit, librl.Count)
                return sys.getallocatedblocks() + sum(sys.getrefcount(kind) for kind in kinds)
            for _ in range(100): use()
            before = left()
            for _ in range(1000): use()
            print(left() - before)
            """
        self.assertLess(int(run_python(textwrap.dedent(code))), 100)
