"""How many instructions a decision takes: the same on every machine, however busy it is."""

import re
import shutil
import subprocess
import sys
import unittest

from support import DEADLINE_S, Case

PROGRAM = """
import librl, sys
ask = librl.Segment.private(keys=1000).limiter("api", "1000000/s").try_acquire
for _ in range(int(sys.argv[1])):
    ask("user:42")
"""
# Of some 1,250 the library's own are 630, and those of the loop 350; a call of len() takes 330.
MOST = 1_450


def instructions(times):
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(
        [*valgrind, sys.executable, "-c", PROGRAM, str(times)],
        capture_output=True,
        text=True,
        timeout=10 * DEADLINE_S,
        check=True,
    )
    return int(re.search(r"refs: *([\d,]+)", done.stderr)[1].replace(",", ""))


@unittest.skipUnless(shutil.which("valgrind"), "there is no valgrind")
class Instructions(Case):
    def test_a_decision_takes_few(self):
        taken = (instructions(21_000) - instructions(1_000)) / 20_000
        self.assertLess(taken, MOST)
        self.assertGreater(taken, 300)
