#!/usr/bin/env python3
"""Runs the tests of the package that is installed; ends with the line that tools/count-tests reads.

usage: all.py [NAME...]     only these, as unittest names them: test_limiter, test_limiter.Asking"""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main(names):
    sys.path.insert(0, HERE)
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromNames(names) if names else loader.discover(HERE)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED: {test}: {reason}")
    # One that fails in parts fails once.
    failed = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    skipped = len(result.skipped)
    passed = max(result.testsRun - failed - skipped, 0)
    print(f"test cases: {passed + failed + skipped} | {passed} passed | {failed} failed "
          f"| {skipped} skipped")
    return 0 if result.wasSuccessful() and passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
