#!/usr/bin/env python3
"""Runs examples/one_host: nginx, gunicorn and a cron job have one limit, to the call.

usage: one_host_test.py RUN BUILD     the example's script, and the folder that librl was built in

Ends with the line that tools/count-tests reads. Where something is missing it is skipped, with a word."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = [os.path.abspath(sys.argv[1]), "--no-install", "--build", os.path.abspath(sys.argv[2])]
DEADLINE_S = 300  # most of it is for the installation of the package
CLIENTS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
ROW = re.compile(r"(127\.0\.0\.\d) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)  (\w+)")
PR_SET_CHILD_SUBREAPER = 36


def children():
    """Reaps those that have ended; returns the process ids of the others."""
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children", encoding="ascii") as file:
        return [pid for pid in map(int, file.read().split()) if os.waitpid(pid, os.WNOHANG)[0] == 0]


def segments():
    return {name for name in os.listdir("/dev/shm") if name.startswith("rl.one-host-")}


class OneHost(unittest.TestCase):
    def setUp(self):
        # Whom it leaves behind becomes our child, and is seen.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with tempfile.TemporaryDirectory() as self.scratch:
            pass
        os.mkdir(self.scratch, 0o755)  # nginx's workers are somebody else
        self.addCleanup(subprocess.run, ["rm", "-rf", self.scratch], check=False)
        self.addCleanup(self.end_all)

    @staticmethod
    def end_all():
        for pid in children():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def start(self, *options):
        return subprocess.Popen([*COMMAND, *options], text=True, stdout=subprocess.PIPE,
                                env={**os.environ, "TMPDIR": self.scratch})

    def run_whole(self, *options):
        """Returns its exit code and the rows of its table, as [asked, nginx, application, cron, admitted,
        denied, verdict] of each client."""
        with self.start(*options) as process:
            said, _ = process.communicate(timeout=DEADLINE_S)
        print(said)
        if process.returncode == 77:
            self.skipTest(said.rpartition("SKIPPED: ")[2].strip())
        self.assert_nothing_is_left(process)
        rows = {row[0]: [*map(int, row[1:7]), row[7]] for row in ROW.findall(said)}
        self.assertEqual(sorted(rows), CLIENTS)
        return process.returncode, list(rows.values())

    def assert_nothing_is_left(self, process):
        self.assertEqual(children(), [])
        self.assertEqual(os.listdir(self.scratch), [])
        self.assertFalse({name for name in segments() if str(process.pid) in name})

    def test_each_client_has_100_of_all_together(self):
        code, rows = self.run_whole()
        self.assertEqual(code, 0)
        for asked, nginx, application, cron, admitted, denied, verdict in rows:
            self.assertEqual((asked, admitted, denied, verdict), (160, 100, 60, "ok"))
            self.assertEqual(nginx + application + cron, 100)
            # Two rounds are below the limit.
            self.assertGreaterEqual(min(nginx, application), 30)
            self.assertGreaterEqual(cron, 20)

    def test_with_a_bucket_apart_it_is_more_and_the_script_says_so(self):
        code, rows = self.run_whole("--apart")
        self.assertEqual(code, 1)
        for asked, nginx, application, cron, *told in rows:
            self.assertEqual((asked, nginx + application, cron), (160, 100, 40))
            self.assertEqual(told, [140, 20, "WRONG"])

    def end_in_the_middle(self, number):
        process = self.start()
        try:
            if "SKIPPED" in (first := process.stdout.readline()):
                self.skipTest(first.strip().partition(": ")[2])
            self.assertIn("Each client", first)
            process.send_signal(number)
            process.wait(timeout=DEADLINE_S)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        return process

    def test_interrupted_it_leaves_nothing_behind(self):
        process = self.end_in_the_middle(signal.SIGINT)
        self.assertEqual(process.returncode, 130)
        self.assert_nothing_is_left(process)

    def test_killed_it_leaves_no_server_behind(self):
        process = self.end_in_the_middle(signal.SIGKILL)
        self.addCleanup(os.unlink, f"/dev/shm/rl.one-host-{process.pid}")
        end = time.monotonic() + 60
        while left := children():
            self.assertLess(time.monotonic(), end, f"still there: {left}")
            time.sleep(0.05)


if __name__ == "__main__":
    outcome = unittest.main(argv=sys.argv[:1], exit=False,
                            testRunner=unittest.TextTestRunner(sys.stdout, verbosity=2)).result
    failed = len(outcome.failures) + len(outcome.errors)
    for case, why in outcome.skipped:
        print(f"SKIPPED: {why}", case)
    passed = outcome.testsRun - failed - len(outcome.skipped)
    print(f"test cases: {outcome.testsRun} | {passed} passed | {failed} failed "
          f"| {len(outcome.skipped)} skipped")
    sys.exit(1 if failed else 0)
