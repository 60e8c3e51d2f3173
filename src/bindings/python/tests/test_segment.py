"""librl.Segment: opening, options, and what is done without one."""

import os
import stat
import tempfile

import librl
from support import Case, new_name, poll


class Opening(Case):
    def test_a_second_handle_sees_what_the_first_has_charged(self):
        segment = self.new_segment()
        segment.limiter("api", "10/h").try_acquire("user", 7)
        again = librl.Segment.open(self.name_of(segment)).limiter("api")
        self.assertEqual(again.peek("user").remaining, 3)

    def test_a_path_is_taken_as_it_is_also_as_a_path_object(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:

            class Path:
                def __fspath__(self):
                    return os.path.join(folder, "limits")

            self.assertEqual(librl.Segment(Path()).path, os.path.join(folder, "limits"))

    def test_mode_is_that_of_the_file(self):
        segment = self.new_segment(mode=0o640)
        self.assertEqual(stat.S_IMODE(os.stat(segment.path).st_mode), 0o640)

    def test_errors_have_classes_codes_and_a_sentence_that_says_what_to_do(self):
        name = new_name()
        cases = [
            (lambda: librl.Segment.open(name), librl.NotFoundError, FileNotFoundError, -6, name),
            (lambda: librl.Segment("a/b"), librl.BadNameError, ValueError, -3, "a/b"),
            (lambda: librl.Segment("/etc/passwd", how="open"), librl.NotASegmentError, librl.Error,
             -9, "/etc/passwd"),
            (lambda: self.private().limiter("x"), librl.UnknownPolicyError, LookupError, -15, "x"),
            (lambda: self.private().limiter("x", "fast"), librl.BadLimitError, ValueError, -4,
             "fast"),
            (lambda: librl.check_limits("1/x"), librl.BadLimitError, ValueError, -4, "x"),
        ]
        for make, kind, also, code, word in cases:
            with self.subTest(kind=kind), self.assertRaises(kind) as raised:
                make()
            self.assertIsInstance(raised.exception, also)
            self.assertIsInstance(raised.exception, librl.Error)
            self.assertEqual(raised.exception.code, code)
            self.assertIn(word, str(raised.exception))

    def test_create_refuses_a_name_that_is_taken(self):
        segment = self.new_segment()
        with self.assertRaises(librl.ExistsError):
            librl.Segment(self.name_of(segment), how="create")

    def test_every_code_of_the_library_has_a_class_of_its_own(self):
        from librl import _errors

        with_class = set(_errors.BY_CODE) | {-2}
        self.assertEqual(with_class, set(range(-19, 0)))
        for code, kind in _errors.BY_CODE.items():
            self.assertEqual(kind.code, code)
            self.assertIs(getattr(librl, kind.__name__), kind)

    def test_a_class_of_your_own_takes_nobodys_code(self):
        from librl import _errors

        class MineError(librl.NotFoundError):
            pass

        self.assertEqual(MineError.code, librl.NotFoundError.code)
        self.assertIs(_errors.BY_CODE[MineError.code], librl.NotFoundError)

    def test_read_only_looks_and_does_not_decide(self):
        segment = self.new_segment()
        segment.limiter("api", "10/h").try_acquire("user", 4)
        seen = librl.Segment.open_read_only(self.name_of(segment)).limiter("api")
        self.assertEqual(seen.peek("user").remaining, 6)
        with self.assertRaises(librl.InvalidError):
            seen.try_acquire("user")

    def test_wrong_options_are_told_by_name(self):
        cases = [
            (dict(keys=0), ValueError, "keys"),
            (dict(keys="many"), TypeError, "keys"),
            (dict(keys=-1), ValueError, "keys"),
            (dict(keys=2**64), ValueError, "keys"),
            (dict(mode=0o10000), ValueError, "mode"),
            (dict(policies=65536), ValueError, "policies"),
            (dict(share=0), ValueError, "share"),
            (dict(clock="sundial"), ValueError, "manual"),
            (dict(how="somehow"), ValueError, "read_only"),
            (dict(on_failure="panic"), ValueError, "local"),
            (dict(on_failure=3), TypeError, "on_failure"),
            (dict(owner=5), TypeError, "str"),
            (dict(colour="red"), TypeError, "colour"),
        ]
        for options, kind, word in cases:
            with self.subTest(**options), self.assertRaisesRegex(kind, word):
                librl.Segment("never-made", **options)
        for name in (None, 5, "", "nul\0byte"):
            with self.subTest(name=name), self.assertRaises((TypeError, ValueError)):
                librl.Segment(name)

    def test_remove_says_whether_there_was_one(self):
        segment = self.new_segment()
        self.assertTrue(librl.remove(self.name_of(segment)))
        self.assertFalse(librl.remove(self.name_of(segment)))

    def test_a_manual_clock_goes_by_hand_and_no_other_does(self):
        segment = self.private()
        before = segment.now_ns()
        segment.advance_clock(1.5)
        self.assertEqual(segment.now_ns() - before, 1_500_000_000)
        with self.assertRaises(librl.BadOptionError):
            librl.Segment.private().advance_clock(1)

    def test_a_policy_that_is_set_holds_at_the_next_call_of_all(self):
        segment = self.new_segment()
        limiter = segment.limiter("api", "10/h")
        limiter.try_acquire("user", 4)
        librl.Segment.open(self.name_of(segment)).set_policy("api", limits="20/h")
        self.assertEqual((limiter.limits, limiter.peek("user").remaining), ("20/h", 16))
        segment.set_policy("new", "5/s, 8/h")
        self.assertEqual(segment.limiter("new").limits, "5/s, 8/h")
        cases = [
            (("api", "fast"), librl.BadLimitError),
            (("a b", "1/s"), librl.BadNameError),
            (("a\0b", "1/s"), ValueError),
            (("api", None), TypeError),
            (("api",), TypeError),
        ]
        for arguments, kind in cases:
            with self.subTest(arguments), self.assertRaises(kind):
                segment.set_policy(*arguments)
        seen = librl.Segment.open_read_only(self.name_of(segment))
        with self.assertRaises(librl.ReadOnlyError):
            seen.set_policy("api", "30/h")
        self.assertEqual(limiter.limits, "20/h")

    def test_reset_all_forgets_what_all_keys_have_used(self):
        segment = self.private()
        limiter = segment.limiter("api", "10/h")
        for key in ("a", "b", "c"):
            limiter.try_acquire(key)
        self.assertEqual(segment.reset_all(), 3)
        self.assertEqual(limiter.peek("a").remaining, 10)


class WithoutOne(Case):
    """A segment in a folder that is not there."""

    def setUp(self):
        self.folder = f"/dev/shm/{new_name()}"
        self.path = f"{self.folder}/limits"

    def open(self, on_failure, **options):
        with self.assertLogs("librl", "WARNING") as told:
            segment = librl.Segment(self.path, on_failure=on_failure, **options)
        self.assertIn(self.path, told.output[0])
        self.assertTrue(segment.is_without_segment)
        return segment

    def test_raise_is_what_happens_if_nothing_is_said(self):
        with self.assertRaisesRegex(librl.Error, self.folder):
            librl.Segment(self.path)

    def test_allow_lets_all_pass_uncounted(self):
        limiter = self.open("allow").limiter("api", "1/h")
        decisions = [limiter.try_acquire("user") for _ in range(5)]
        self.assertTrue(all(decisions))
        self.assertEqual(decisions[4].reason, "unavailable")
        self.assertEqual(limiter.headers(decisions[4])[1:], [])

    def test_deny_lets_none_pass(self):
        limiter = self.open("deny").limiter("api", "1/h")
        self.assertFalse(limiter.try_acquire("user"))
        self.assertFalse(limiter.acquire("user", timeout=0))

    def test_local_divides_the_limit_by_the_processes(self):
        limiter = self.open("local", share=4).limiter("api", "100/h")
        self.assertEqual(sum(bool(limiter.try_acquire("user")) for _ in range(100)), 25)

    def test_the_segment_is_taken_as_soon_as_it_can_be_had(self):
        segment = self.open("deny")
        limiter = segment.limiter("api", "10/h")
        self.assertFalse(limiter.try_acquire("user"))
        os.mkdir(self.folder)
        self.addCleanup(os.rmdir, self.folder)
        self.addCleanup(librl.remove, self.path)
        other = librl.Segment(self.path).limiter("api", "10/h")
        with self.assertLogs("librl"):
            poll(lambda: limiter.try_acquire("user"), "a decision of the segment")
        self.assertFalse(segment.is_without_segment)
        self.assertEqual(other.peek("user").remaining, 9)
