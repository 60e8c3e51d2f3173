"""librl.Limiter and librl.Decision: what is asked, and what is answered."""

import copy
import math
import pickle
import socket
import struct
import threading

import librl
from support import DEADLINE_S, Case


class Asking(Case):
    def setUp(self):
        self.segment = self.private()
        self.limiter = self.segment.limiter("api", "10/s burst=20")

    def test_a_denial_says_when_to_come_back_to_the_nanosecond(self):
        self.assertTrue(self.limiter.try_acquire("user", 20))
        denied = self.limiter.try_acquire("user", 3)
        self.assertFalse(denied)
        self.assertFalse(denied.allowed)
        self.assertEqual(denied.reason, "limited")
        self.assertEqual(denied.retry_after_ns, 300_000_000)
        self.assertEqual(denied.retry_after, 0.3)
        self.segment.advance_clock(0.299)
        self.assertFalse(self.limiter.try_acquire("user", 3))
        self.segment.advance_clock(0.001)
        self.assertTrue(self.limiter.try_acquire("user", 3))

    def test_an_allowed_call_says_what_is_left(self):
        decision = self.limiter.try_acquire("user", 5)
        self.assertTrue(decision.allowed)
        self.assertEqual((decision.reason, decision.limit, decision.remaining), ("ok", 20, 15))
        self.assertEqual((decision.reset_after, decision.reset_after_ns), (0.5, 500_000_000))
        self.assertEqual((decision.wait, decision.retry_after), (0.0, 0.0))

    def test_what_can_never_pass_is_told_as_infinity(self):
        decision = self.limiter.try_acquire("user", 21)
        self.assertEqual(decision.reason, "never")
        self.assertEqual(decision.retry_after, math.inf)
        self.assertEqual(decision.retry_after_ns, librl.NEVER_NS)

    def test_a_decision_is_made_by_nobody_else_and_cannot_be_changed(self):
        decision = self.limiter.try_acquire("user")
        with self.assertRaises(TypeError):
            librl.Decision()
        for name in ("allowed", "remaining", "reason", "anything"):
            with self.subTest(name), self.assertRaises(AttributeError):
                setattr(decision, name, 1)
        with self.assertRaises(TypeError):
            librl.Decision.allowed = True

    def test_a_decision_crosses_processes_and_leaves_its_charge_behind(self):
        limiter = self.segment.limiter("list", "5/s, 8/h")
        limiter.try_acquire("user", 5)
        original = self.limiter.try_acquire("user", 4)
        never = self.limiter.try_acquire("user", 100)
        for decision in (original, never, limiter.try_acquire("user"),
                         self.limiter.reserve("user", 20)):
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
                again = pickle.loads(pickle.dumps(decision, protocol))
                for name, member in vars(librl.Decision).items():
                    if not name.startswith("_"):
                        self.assertEqual(getattr(again, name), getattr(decision, name), name)
                self.assertEqual(repr(again), repr(decision))
        self.limiter.reset("user")
        again = pickle.loads(pickle.dumps(original))
        self.limiter.try_acquire("user", 4)
        self.assertFalse(self.limiter.refund("user", again))
        self.assertEqual(self.limiter.peek("user").remaining, 16)

    def test_a_copy_of_a_decision_is_spent_with_it(self):
        decision = self.limiter.try_acquire("user", 4)
        for copied in (copy.copy(decision), copy.deepcopy([decision])[0]):
            self.assertEqual(copied.remaining, 16)
        self.assertTrue(self.limiter.refund("user", copied))
        self.assertFalse(self.limiter.refund("user", decision))

    def test_str_and_bytes_are_the_same_key_and_other_types_are_none(self):
        self.limiter.try_acquire("ü", 2)
        self.assertEqual(self.limiter.peek("ü".encode()).remaining, 18)
        for key in (None, 5, 1.5, ["user"], bytearray(b"user"), memoryview(b"user"), object()):
            with self.subTest(key=key), self.assertRaisesRegex(TypeError, "str or bytes"):
                self.limiter.try_acquire(key)

    def test_keys_may_be_huge_and_hold_any_bytes(self):
        for key in ("x" * 10_000_000, b"\0", bytes(range(256)), "a\0b"):
            with self.subTest(size=len(key)):
                self.assertEqual(self.limiter.try_acquire(key).remaining, 19)
                self.assertEqual(self.limiter.try_acquire(key).remaining, 18)
        self.assertEqual(self.limiter.try_acquire("x" * 9_999_999).remaining, 19)

    def test_keys_that_are_none_are_refused(self):
        for key in ("", b"", "\ud800"):
            with self.subTest(key=key), self.assertRaises(ValueError):
                self.limiter.try_acquire(key)

    def test_costs_are_whole_numbers_above_zero(self):
        for cost in (0, -1, 2**64):
            with self.subTest(cost=cost), self.assertRaisesRegex(ValueError, "cost"):
                self.limiter.try_acquire("user", cost)
        for cost in (1.0, "1", None):
            with self.subTest(cost=cost), self.assertRaisesRegex(TypeError, "cost"):
                self.limiter.try_acquire("user", cost)
        self.assertEqual(self.limiter.try_acquire("user", 2**64 - 1).reason, "never")

    def test_arguments_are_taken_by_name_and_by_place(self):
        self.assertTrue(self.limiter.try_acquire(cost=2, key="user"))
        for arguments, named in [
            ((), {}),
            (("user", 1, False, 4), {}),
            (("user",), {"key": "user"}),
            (("user",), {"price": 2}),
        ]:
            with self.subTest(arguments, **named), self.assertRaisesRegex(TypeError, "try_acquire"):
                self.limiter.try_acquire(*arguments, **named)

    def test_calls_of_low_priority_leave_the_floor(self):
        limiter = self.segment.limiter("floor", "10/s floor=50")
        self.assertFalse(limiter.try_acquire("user", 6, low=True))
        self.assertTrue(limiter.try_acquire("user", 5, low=True))
        self.assertTrue(limiter.try_acquire("user", 5))

    def test_a_time_that_was_read_before_counts(self):
        now_ns = self.segment.now_ns()
        self.segment.advance_clock(1)
        # By its own time the bucket would be full again a second later.
        self.assertTrue(self.limiter.try_acquire_at(now_ns, "user", 20))
        self.assertEqual(self.limiter.peek("user").remaining, 10)
        denied = self.limiter.try_acquire_at(now_ns, key="user")
        self.assertEqual((denied.allowed, denied.retry_after_ns), (False, 100_000_000))
        for arguments, kind in [((-1, "user"), ValueError), ((2**63, "user"), ValueError),
                                ((1.5, "user"), TypeError), (("user",), TypeError),
                                ((now_ns, ""), ValueError), ((now_ns, "user", 0), ValueError)]:
            with self.subTest(arguments), self.assertRaises(kind):
                self.limiter.try_acquire_at(*arguments)
        with self.assertRaises(librl.InvalidError):
            self.segment.limiter("list", "5/s, 8/h").try_acquire_at(now_ns, "user")

    def test_many_keys_are_decided_in_their_order(self):
        decisions = self.limiter.try_acquire_many(["a", b"b", "a"], 12)
        self.assertEqual([bool(decision) for decision in decisions], [True, True, False])
        self.assertEqual(decisions[0].remaining, 8)
        self.assertEqual(self.limiter.try_acquire_many([]), [])
        self.assertEqual(len(self.limiter.try_acquire_many(f"k{i}" for i in range(100))), 100)
        for keys in (["c", ""], ["c", 5], "", 5, None):
            if keys == "":
                continue
            with self.subTest(keys=keys), self.assertRaises((TypeError, ValueError)):
                self.limiter.try_acquire_many(keys)
        self.assertEqual(self.limiter.peek("c").remaining, 20)

    def test_limiters_are_asked_together_or_not_at_all(self):
        other = self.segment.limiter("other", "1/h")
        self.assertTrue(librl.try_acquire_all((self.limiter, "user", 4), (other, "user")))
        denied = librl.try_acquire_all((self.limiter, "user", 4), (other, "user"))
        self.assertFalse(denied)
        self.assertEqual(denied.which, 1)
        self.assertEqual(self.limiter.peek("user").remaining, 16)
        for asks in ((), [("user",)], [(self.limiter,)], [(self.limiter, "")],
                     [(self.limiter, "user")] * 17, [self.limiter]):
            with self.subTest(asks=asks), self.assertRaises((TypeError, ValueError)):
                librl.try_acquire_all(*asks)

    def test_a_list_of_limits_is_asked_as_one(self):
        limiter = self.segment.limiter("list", "5/s, 8/h")
        self.assertEqual([bool(limiter.try_acquire("user")) for _ in range(6)],
                         [True] * 5 + [False])
        self.segment.advance_clock(1)
        self.assertEqual([bool(limiter.try_acquire("user")) for _ in range(4)],
                         [True] * 3 + [False])
        self.assertEqual((len(limiter), limiter.limits), (2, "5/s, 8/h"))
        self.assertEqual((limiter[1].policy, limiter[1].limits), ("list#2", "8/h"))
        self.assertIsInstance(limiter[0], librl.Limiter)
        self.assertEqual([one.policy for one in limiter], ["list", "list#2"])
        with self.assertRaises(IndexError):
            limiter[2]

    def test_the_segments_limit_stands_above_the_programs(self):
        again = self.segment.limiter("api", "5/s")
        self.assertTrue(again.differs)
        self.assertEqual(again.limits, "10/s burst=20")
        self.assertFalse(self.limiter.differs)
        self.assertFalse(self.segment.limiter("api").differs)

    def test_a_limiter_outlives_its_segments_handle(self):
        limiter = librl.Segment.private().limiter("api", "10/h")
        self.assertTrue(limiter.try_acquire("user"))
        self.assertGreater(limiter.segment.now_ns(), 0)

    def test_threads_together_get_what_the_limit_says(self):
        limiter = librl.Segment.private().limiter("api", "1000/h")
        allowed = []

        def ask():
            allowed.append(sum(bool(limiter.try_acquire("user")) for _ in range(1000)))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sum(allowed), 1000)


class Afterwards(Case):
    def setUp(self):
        self.segment = self.private()
        self.limiter = self.segment.limiter("api", "10/h")

    def test_a_refund_gives_back_once(self):
        decision = self.limiter.try_acquire("user", 4)
        self.assertTrue(self.limiter.refund("user", decision))
        self.assertEqual(self.limiter.peek("user").remaining, 10)
        self.assertFalse(self.limiter.refund("user", decision))
        self.assertEqual(self.limiter.peek("user").remaining, 10)
        self.assertEqual(decision.remaining, 6)
        with self.assertRaises(TypeError):
            self.limiter.refund("user", None)

    def test_what_is_held_is_settled_to_what_it_cost(self):
        held = self.limiter.hold("user", 6)
        self.assertTrue(self.limiter.settle("user", held, 2))
        self.assertEqual(self.limiter.peek("user").remaining, 8)
        self.assertFalse(self.limiter.settle("user", held, 2))

    def test_a_charge_counts_whatever_the_limit_says(self):
        self.assertTrue(self.limiter.charge("user", 15))
        self.assertFalse(self.limiter.try_acquire("user"))

    def test_what_is_left_can_be_set_and_forgotten(self):
        self.assertTrue(self.limiter.set_remaining("user", 3))
        self.assertEqual(self.limiter.peek("user").remaining, 3)
        self.assertTrue(self.limiter.set_remaining("user", 0))
        self.assertTrue(self.limiter.reset("user"))
        self.assertFalse(self.limiter.reset("user"))
        self.assertEqual(self.limiter.peek("user").remaining, 10)

    def test_calls_that_a_limit_does_not_take_are_told_so(self):
        permits = self.segment.limiter("uploads", "concurrency 2")
        listed = self.segment.limiter("list", "5/s, 8/h")
        decision = self.limiter.try_acquire("user")
        for call in (lambda: permits.try_acquire("user"), lambda: self.limiter.permit("user"),
                     lambda: self.limiter.peek_permit("user"), lambda: listed.reserve("user"),
                     lambda: listed.charge("user", 1), lambda: listed.refund("user", decision)):
            with self.assertRaisesRegex(librl.InvalidError, r"\(\): "):
                call()


class Counting(Case):
    def setUp(self):
        self.segment = self.private()
        self.counter = self.segment.limiter("hits", "counter")

    def test_a_count_is_forgotten_at_once_after_its_first_call(self):
        self.assertEqual(self.counter.count("user", 3, 60).count, 3)
        self.segment.advance_clock(50)
        told = self.counter.count("user", 2, 60)
        self.assertEqual((told.counted, told.reason, told.count), (True, "ok", 5))
        self.assertGreaterEqual(told.expires_in, 10)
        self.assertLess(told.expires_in, 10.01)
        self.assertEqual(told.expires_in, told.expires_in_ns / 1e9)
        self.segment.advance_clock(10.01)
        self.assertEqual(self.counter.count("user", 0, 60).count, 0)

    def test_with_elastic_after_its_last(self):
        for _ in range(3):
            told = self.counter.count("user", 1, 60, elastic=True)
            self.segment.advance_clock(50)
        self.assertEqual(told.count, 3)
        self.assertEqual(self.counter.count("user", 0, 60).count, 3)

    def test_what_cannot_be_counted_is_told(self):
        for arguments in (("", 1, 60), ("user", -1, 60), ("user", 1, float("nan"))):
            with self.subTest(arguments), self.assertRaises(ValueError):
                self.counter.count(*arguments)
        for arguments in ((5, 1, 60), ("user", 1.5, 60), ("user", 1, "soon"), ("user", 1)):
            with self.subTest(arguments), self.assertRaises(TypeError):
                self.counter.count(*arguments)
        with self.assertRaises(librl.InvalidError):
            self.segment.limiter("api", "10/s").count("user", 1, 60)
        with self.assertRaises(librl.InvalidError):
            self.counter.try_acquire("user")


class Fields(Case):
    def test_a_response_says_how_the_client_stands(self):
        limiter = self.private().limiter("api", "10/s burst=20")
        self.assertEqual(limiter.headers(limiter.try_acquire("user", 20)),
                         [("RateLimit-Policy", '"api";q=20;w=2'), ("RateLimit", '"api";r=0;t=1')])
        self.assertEqual(limiter.headers(limiter.try_acquire("user", 11))[2], ("Retry-After", "2"))
        with self.assertRaises(TypeError):
            limiter.headers("user")

    def test_of_a_list_each_limit_is_named_and_the_one_that_decided(self):
        limiter = self.private().limiter("api", "5/s, 8/h")
        limiter.try_acquire("user", 5)
        fields = dict(limiter.headers(limiter.try_acquire("user")))
        self.assertEqual(fields["RateLimit-Policy"], '"api";q=5;w=1, "api#2";q=8;w=3600')
        self.assertEqual(fields["RateLimit"], '"api";r=0;t=1')

    def test_of_a_list_the_tightest_limit_says_how_much_is_left(self):
        limiter = self.private().limiter("api", "100/s, 8/h")
        fields = dict(limiter.headers(limiter.try_acquire("user", 3)))
        self.assertEqual(fields["RateLimit"], '"api#2";r=5;t=450')

    def test_of_several_limiters_the_one_that_decided_says_how_much_is_left(self):
        segment = self.private()
        loose = segment.limiter("loose", "100/s")
        # As many at once as the loose one has: the field must not be mistaken for its own.
        tight = segment.limiter("tight", "100/h, 1000/d")
        decision = librl.try_acquire_all((loose, "user"), (tight, "user", 30))
        self.assertEqual(decision.which, 1)
        self.assertEqual(tight.headers(decision), [
            ("RateLimit-Policy", '"tight";q=100;w=3600, "tight#2";q=1000;w=86400'),
            ("RateLimit", '"tight";r=70;t=36'),
        ])
        self.assertEqual(tight[0].headers(decision)[1], ("RateLimit", '"tight";r=70;t=36'))
        self.assertEqual(segment.limiter("tight").headers(decision), tight.headers(decision))
        self.assertEqual(loose.headers(decision), [("RateLimit-Policy", '"loose";q=100;w=1')])
        elsewhere = self.private().limiter("tight", "100/h")
        self.assertEqual(elsewhere.headers(decision), [("RateLimit-Policy", '"tight";q=100;w=3600')])

    def test_of_several_limiters_a_denial_is_that_of_the_one_that_denied(self):
        segment = self.private()
        loose = segment.limiter("loose", "100/s")
        tight = segment.limiter("tight", "100/m, 5/h")
        denied = librl.try_acquire_all((loose, "a"), (loose, "b"), (tight, "user", 5))
        self.assertTrue(denied)
        denied = librl.try_acquire_all((loose, "a"), (loose, "b"), (tight, "user"))
        self.assertEqual((denied.allowed, denied.which), (False, 2))
        self.assertEqual(tight.headers(denied)[1:],
                         [("RateLimit", '"tight#2";r=0;t=720'), ("Retry-After", "720")])
        self.assertEqual(loose.headers(denied)[1:], [("Retry-After", "720")])

    def test_a_limit_of_permits_has_nothing_to_say(self):
        limiter = self.private().limiter("uploads", "concurrency 1")
        self.assertEqual(limiter.headers(limiter.permit("user").decision), [])


class Keys(Case):
    def test_all_spellings_of_an_address_are_one_key(self):
        self.assertEqual(librl.address_key("::ffff:203.0.113.7"), "203.0.113.7")
        self.assertEqual(librl.address_key("2001:DB8:1:2::7"), "2001:db8:1:2::/64")
        self.assertEqual(librl.address_key(b"2001:db8::1", ipv6_prefix=128), "2001:db8::1")
        self.assertEqual(librl.address_key("203.0.113.7", 24), "203.0.113.0/24")
        for text in ("", "localhost", "1.2.3", "fe80::1%eth0", "x" * 100_000):
            with self.subTest(text[:20]), self.assertRaisesRegex(ValueError, "no IP address"):
                librl.address_key(text)
        with self.assertRaisesRegex(ValueError, "ipv6_prefix"):
            librl.address_key("::1", ipv6_prefix=129)
        with self.assertRaises(TypeError):
            librl.address_key(16777343)

    def test_what_a_socket_says_of_its_peer_is_a_key(self):
        for address, key in [
            (("203.0.113.7", 4711), "203.0.113.7"),
            (("::ffff:203.0.113.7", 4711, 0, 0), "203.0.113.7"),
            (("2001:db8:1:2::7", 4711, 5, 0), "2001:db8:1:2::/64"),
            (("fe80::1%eth0", 4711, 0, 2), "fe80::/64"),
            (struct.pack("=HH4s8x", socket.AF_INET, 0, bytes([203, 0, 113, 7])), "203.0.113.7"),
        ]:
            with self.subTest(address):
                self.assertEqual(librl.sockaddr_key(address), key)
        self.assertEqual(librl.sockaddr_key(("203.0.113.7", 1), 24), "203.0.113.0/24")
        self.assertEqual(librl.sockaddr_key(("2001:db8::1", 1, 0, 0), ipv6_prefix=128),
                         "2001:db8::1")
        for address in ((), ("203.0.113.7",), ("localhost", 1), ("203.0.113.7\0", 1), (5, 1),
                        ("203.0.113.7%eth0", 1), ("::1", 1), ("203.0.113.7", 1, 0, 0), b"", b"\1\0",
                        ("1" * 100, 1), struct.pack("=H12s", socket.AF_UNIX, b"/tmp/socket")):
            with self.subTest(address), self.assertRaisesRegex(ValueError, "no IP address"):
                librl.sockaddr_key(address)
        for address in ("203.0.113.7", ["203.0.113.7", 1], None):
            with self.subTest(address), self.assertRaisesRegex(TypeError, "tuple"):
                librl.sockaddr_key(address)
        with self.assertRaisesRegex(ValueError, "ipv4_prefix"):
            librl.sockaddr_key(("203.0.113.7", 1), 33)

    def test_also_that_of_a_real_socket(self):
        families = [(socket.AF_INET, "127.0.0.1", "127.0.0.1")]
        if socket.has_dualstack_ipv6():
            families.append((socket.AF_INET6, "::1", "::/64"))
        for family, host, key in families:
            with self.subTest(host), socket.create_server((host, 0), family=family) as server:
                with socket.create_connection(server.getsockname()[:2], DEADLINE_S):
                    connection, address = server.accept()
                    with connection:
                        self.assertEqual(librl.sockaddr_key(address), key)
                        self.assertEqual(librl.sockaddr_key(connection.getpeername()), key)

    def test_different_parts_never_make_the_same_key(self):
        lists = [("a,b", "c"), ("a", "b,c"), ("a", "b", "c"), ("a\\", "b"), ("", "a"), ("a", ""),
                 (b"a", "d")]
        self.assertEqual(len({librl.composite_key(*parts) for parts in lists}), len(lists))
        for parts in ((), ("x" * 300,), ("a",) * 300, (5,)):
            with self.subTest(parts=parts[:2]), self.assertRaises((TypeError, ValueError)):
                librl.composite_key(*parts)
