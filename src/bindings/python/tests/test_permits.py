"""librl.Permit: so many at once."""

import copy
import gc
import os
import pickle

import librl
from support import Case, poll, run_python


class Permits(Case):
    def setUp(self):
        self.segment = self.private()
        self.uploads = self.segment.limiter("uploads", "concurrency 2 lease=10s")

    def free(self, key="user"):
        return self.uploads.peek_permit(key).remaining

    def test_a_with_block_gives_back_what_it_took(self):
        with self.uploads.permit("user") as permit:
            self.assertTrue(permit)
            self.assertTrue(permit.holds())
            self.assertEqual(self.free(), 1)
        self.assertFalse(permit)
        self.assertEqual(self.free(), 2)

    def test_also_when_it_is_left_by_an_exception_which_goes_on(self):
        with self.assertRaises(KeyError), self.uploads.permit("user"):
            raise KeyError
        self.assertEqual(self.free(), 2)

    def test_a_with_block_is_not_entered_without_a_permit(self):
        taken = [self.uploads.permit("user") for _ in range(2)]
        denied = self.uploads.permit("user")
        self.assertFalse(denied)
        self.assertEqual(denied.decision.reason, "limited")
        with self.assertRaises(librl.Denied) as raised, denied:
            self.fail("entered")
        self.assertIs(raised.exception.decision, denied.decision)
        self.assertFalse(denied.release())
        self.assertEqual(len(taken), 2)

    def test_what_a_with_block_raises_can_be_pickled_and_copied(self):
        held = [self.uploads.permit("user") for _ in range(2)]
        with self.assertRaises(librl.Denied) as raised, self.uploads.permit("user"):
            self.fail("entered")
        raised.exception.add_note("of a worker")
        for make in (lambda denied: pickle.loads(pickle.dumps(denied)), copy.copy, copy.deepcopy):
            again = make(raised.exception)
            self.assertIs(type(again), librl.Denied)
            self.assertEqual(str(again), str(raised.exception))
            self.assertEqual(repr(again.decision), repr(raised.exception.decision))
            self.assertEqual(again.__notes__, ["of a worker"])
        self.assertEqual(len(held), 2)

    def test_it_is_released_once(self):
        permit = self.uploads.permit("user")
        self.assertTrue(permit.release())
        self.assertFalse(permit.release())
        self.assertFalse(permit.renew())
        self.assertFalse(permit.holds())
        self.assertEqual((permit.fence(), permit.lease_end_ns), (0, 0))
        with self.assertRaisesRegex(ValueError, "released"), permit:
            self.fail("entered")

    def test_one_that_is_dropped_is_given_back(self):
        self.uploads.permit("user")
        gc.collect()
        self.assertEqual(self.free(), 2)

    def test_its_lease_ends_unless_it_is_renewed(self):
        permit = self.uploads.permit("user")
        lease_ns = permit.lease_end_ns - self.segment.now_ns()
        self.assertGreaterEqual(lease_ns, 10_000_000_000)
        self.assertLess(lease_ns, 10_100_000_000)
        self.segment.advance_clock(9)
        self.assertTrue(permit.renew())
        self.segment.advance_clock(9)
        self.assertTrue(permit.holds())
        self.segment.advance_clock(2)
        self.assertFalse(permit.holds())
        self.assertFalse(permit.renew())

    def test_a_later_holder_has_a_higher_fence(self):
        with self.uploads.permit("user") as first:
            one = first.fence()
        with self.uploads.permit("user") as second:
            self.assertGreater(second.fence(), one)

    def test_where_nothing_limits_it_stands_for_none(self):
        watching = self.segment.limiter("watching", "concurrency 1 shadow")
        with watching.permit("user"), watching.permit("user") as second:
            self.assertEqual(second.decision.reason, "shadow")
            self.assertTrue(second.holds())

    def test_a_child_neither_holds_nor_gives_back_what_its_parent_has(self):
        segment = self.new_segment()
        uploads = segment.limiter("uploads", "concurrency 1")
        permit = uploads.permit("user")
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = 10 * permit.holds() + permit.release()
                del permit
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertTrue(permit.holds())
        self.assertFalse(uploads.permit("user"))
        self.assertTrue(permit.release())

    def test_what_a_dead_process_held_is_had_again(self):
        name = self.name_of(self.new_segment())
        run_python(
            "import librl, os, sys\n"
            "uploads = librl.Segment.open(sys.argv[1]).limiter('uploads', 'concurrency 1')\n"
            "permit = uploads.permit('user')\n"
            "assert permit\n"
            "os._exit(0)\n",
            name,
        )
        uploads = librl.Segment.open(name).limiter("uploads")
        self.assertTrue(poll(lambda: uploads.permit("user"), "the permit of the dead"))
