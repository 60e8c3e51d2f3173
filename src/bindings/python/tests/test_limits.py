"""librl.limits: a storage for the package limits, held to what its own storage in memory does."""

import asyncio
import os
import random
import sys
import unittest
from unittest import mock

import librl
from support import Case, new_name

try:
    import limits
    import limits.aio.strategies
    import limits.storage.memory
    import limits.strategies

    import librl.limits
except ImportError as reason:
    raise unittest.SkipTest(f"{reason} (Debian: python3-limits)") from None

SEED = int(os.environ.get("RL_TEST_SEED", random.SystemRandom().randrange(2**32)))


def setUpModule():
    print(f"RL_TEST_SEED={SEED}")


class Clock:
    """The time of both storages, moved by hand; `limits` knows Unix time."""

    def __init__(self, case):
        self.now = 1_700_000_000.0
        self.segments = []
        for module in (limits.storage.memory, librl.limits):
            patch = mock.patch.object(module.time, "time", lambda: self.now)
            patch.start()
            case.addCleanup(patch.stop)
        # Its timer cleans up by that time in a thread of its own, which no decision depends on.
        patch = mock.patch.object(limits.storage.memory.threading, "Timer", mock.MagicMock())
        patch.start()
        case.addCleanup(patch.stop)

    def advance(self, seconds):
        self.now += seconds
        for segment in self.segments:
            segment.advance_clock(seconds)


class LimitsCase(Case):
    def new_storage(self, scheme="shm", **options):
        name = new_name()
        self.addCleanup(librl.remove, name)
        return limits.storage.storage_from_string(f"{scheme}://{name}", keys=1000, **options)

    def new_timed_storage(self):
        clock = Clock(self)
        storage = self.new_storage(clock="manual")
        clock.segments.append(storage._counts.segment)
        return storage, clock


class Counting(LimitsCase):
    def test_any_calls_count_as_in_memory(self):
        storage, clock = self.new_timed_storage()
        oracle = limits.storage.MemoryStorage()
        rng = random.Random(SEED)
        for step in range(5000):
            key = f"key{rng.randrange(4)}"
            expiry = {"key0": 1, "key1": 3, "key2": 60, "key3": 86_400}[key]
            match rng.randrange(10):
                case 0:
                    found, expected = storage.get(key), oracle.get(key)
                case 1 if rng.randrange(20) == 0:
                    found, expected = storage.clear(key), oracle.clear(key)
                case 2:
                    clock.advance(rng.choice([0.01, 0.3, 1.0, 2.0, 20.0]))
                    # At the end of an expiry itself the two differ by how far ours is rounded up.
                    while any(abs(end - clock.now) < 0.006 for end in oracle.expirations.values()):
                        clock.advance(0.012)
                    continue
                case 3:
                    found, expected = storage.get_expiry(key), oracle.get_expiry(key)
                    # One that is over is forgotten here; there, when somebody asks for the count.
                    expected = max(expected, int(clock.now))
                    self.assertLessEqual(abs(found - expected), 1, f"step {step}")
                    continue
                case _:
                    arguments = (key, expiry, rng.random() < 0.3, rng.choice([1, 1, 1, 5]))
                    found, expected = storage.incr(*arguments), oracle.incr(*arguments)
            self.assertEqual(found, expected, f"step {step}")

    def test_strategies_of_fixed_windows_decide_as_in_memory(self):
        for strategy in (limits.strategies.FixedWindowRateLimiter,
                         limits.strategies.FixedWindowElasticExpiryRateLimiter):
            with self.subTest(strategy.__name__):
                storage, clock = self.new_timed_storage()
                memory = limits.storage.MemoryStorage()
                ours, oracle = strategy(storage), strategy(memory)
                rng = random.Random(SEED)
                items = [limits.RateLimitItemPerSecond(3), limits.RateLimitItemPerMinute(10, 2)]
                for step in range(3000):
                    item, user = rng.choice(items), rng.choice(["a", "b"])
                    found = (ours.test(item, user), ours.hit(item, user, cost=rng.choice([1, 2])))
                    cost = storage.get(item.key_for(user)) - memory.get(item.key_for(user))
                    expected = (oracle.test(item, user), oracle.hit(item, user, cost=cost))
                    self.assertEqual(found, expected, f"step {step}")
                    self.assertEqual(ours.get_window_stats(item, user)[1],
                                     oracle.get_window_stats(item, user)[1])
                    clock.advance(rng.choice([0.0, 0.0, 0.1, 0.7, 30.0]) + 0.003)
                    while any(abs(end - clock.now) < 0.006 for end in memory.expirations.values()):
                        clock.advance(0.012)

    def test_reset_forgets_all_and_clear_one(self):
        storage = self.new_storage()
        moving = limits.strategies.MovingWindowRateLimiter(storage)
        item = limits.RateLimitItemPerYear(2)
        for user in ("a", "b"):
            storage.incr(user, 60)
            while moving.hit(item, user):
                pass
        storage.clear("a")
        moving.clear(item, "a")
        self.assertEqual((storage.get("a"), storage.get("b")), (0, 1))
        self.assertEqual((moving.test(item, "a"), moving.test(item, "b")), (True, False))
        self.assertEqual(storage.reset(), 2)
        self.assertEqual(storage.get("b"), 0)
        self.assertTrue(moving.test(item, "b"))

    def test_a_window_that_another_process_made_is_cleared_too(self):
        name = new_name()
        self.addCleanup(librl.remove, name)
        one, other = (limits.storage.storage_from_string(f"shm://{name}") for _ in range(2))
        item = limits.RateLimitItemPerYear(1)
        key = item.key_for("a")
        self.assertTrue(one.acquire_entry(key, 1, item.get_expiry()))
        other.clear(key)
        self.assertTrue(one.acquire_entry(key, 1, item.get_expiry()))
        other.clear("a key that no limit made")

    def test_wrong_amounts_are_told(self):
        storage = self.new_storage()
        for call in (lambda: storage.incr("", 1), lambda: storage.incr("a", 1, False, -1),
                     lambda: storage.acquire_entry("a", 5, 1, -1),
                     lambda: storage.acquire_entry("a", 10**6, 1)):
            with self.assertRaises(ValueError):
                call()
        with self.assertRaises(TypeError):
            storage.incr(5, 1)

    def full_storage(self, on_failure):
        """Returns a storage, and a key that its table has no room for."""
        storage = self.new_storage(on_failure=on_failure)
        counts = storage._counts
        counts.counters = counts.segment.limiter("full", "counter when_full=deny")
        keys = (f"key{number}" for number in range(1_000_000))
        return storage, next(key for key in keys if not counts.counters.count(key, 1, 60).counted)

    def test_for_a_key_without_room_it_does_what_on_failure_says(self):
        storage, key = self.full_storage("raise")
        with self.assertRaisesRegex(librl.NoSpaceError, key):
            storage.incr(key, 60)
        storage, key = self.full_storage("allow")
        self.assertEqual([storage.incr(key, 60, amount=2) for _ in range(3)], [2, 2, 2])
        storage, key = self.full_storage("deny")
        self.assertEqual(storage.incr(key, 60), sys.maxsize)


class MovingWindow(LimitsCase):
    ITEM = limits.RateLimitItemPerMinute(10)

    def test_from_idle_exactly_the_limit_passes_and_comes_back(self):
        storage, clock = self.new_timed_storage()
        moving = limits.strategies.MovingWindowRateLimiter(storage)
        self.assertEqual(moving.get_window_stats(self.ITEM, "a"), (int(clock.now) + 60, 10))
        for _ in range(3):
            self.assertEqual([moving.hit(self.ITEM, "a") for _ in range(12)],
                             [True] * 10 + [False] * 2)
            reset, left = moving.get_window_stats(self.ITEM, "a")
            self.assertEqual(left, 0)
            self.assertFalse(moving.test(self.ITEM, "a"))
            self.assertLessEqual(reset, clock.now + 121)
            # It keeps its word: then all of it passes again.
            clock.advance(reset + 1 - clock.now)

    def test_its_error_is_the_one_stated(self):
        storage, clock = self.new_timed_storage()
        ours = limits.strategies.MovingWindowRateLimiter(storage)
        rng = random.Random(SEED)
        admitted = []
        for _ in range(4000):
            clock.advance(rng.choice([0.0, 0.05, 0.4, 3.0, 25.0, 59.9]) * rng.random())
            if ours.hit(self.ITEM, "a"):
                admitted.append(clock.now)
        most = max(sum(1 for other in admitted[i:] if other < begin + 60)
                   for i, begin in enumerate(admitted))
        self.assertLessEqual(most, 2 * 10 - 1)
        self.assertGreaterEqual(most, 10)

    def test_hits_that_come_evenly_and_one_fewer_than_the_limit_all_pass(self):
        storage, clock = self.new_timed_storage()
        moving = limits.strategies.MovingWindowRateLimiter(storage)
        for _ in range(200):
            self.assertTrue(moving.hit(self.ITEM, "a"))
            clock.advance(60 / 9 + 0.001)

    def test_a_cost_counts_as_so_many_and_none_as_nothing(self):
        storage = self.new_storage()
        moving = limits.strategies.MovingWindowRateLimiter(storage)
        item = limits.RateLimitItemPerYear(10)
        self.assertTrue(moving.hit(item, "a", cost=7))
        self.assertFalse(moving.hit(item, "a", cost=4))
        self.assertTrue(moving.hit(item, "a", cost=0))
        self.assertEqual(moving.get_window_stats(item, "a")[1], 3)
        self.assertFalse(moving.hit(item, "b", cost=11))


class Opening(LimitsCase):
    def test_options_come_in_the_uri_or_beside_it(self):
        name = new_name()
        self.addCleanup(librl.remove, name)
        storage = limits.storage.storage_from_string(f"shm://{name}?keys=500&mode=640&labels=no")
        self.assertEqual(os.stat(f"/dev/shm/rl.{name}").st_mode & 0o777, 0o640)
        path = f"/dev/shm/{new_name()}"
        self.addCleanup(librl.remove, path)
        limits.storage.storage_from_string(f"shm://{path}", keys=500)
        self.assertTrue(os.path.exists(path))
        self.assertTrue(storage.check())

    def test_what_a_uri_does_not_say_is_told(self):
        for uri in ("shm://", "shm://web/other", "shm://web?colour=red", "shm://web?keys=many"):
            with self.subTest(uri), self.assertRaisesRegex(limits.errors.ConfigurationError, "shm"):
                limits.storage.storage_from_string(uri)
        with self.assertRaises(librl.BadNameError):
            limits.storage.storage_from_string("shm://" + "x" * 300)

    def test_without_a_segment_it_does_what_on_failure_says(self):
        item = limits.RateLimitItemPerYear(8)
        expected = {"allow": 20, "deny": 0, "local": 2}
        for strategy in limits.strategies.STRATEGIES.values():
            for on_failure, most in expected.items():
                with self.subTest(strategy=strategy.__name__, on_failure=on_failure):
                    uri = f"shm:///nowhere-at-all/limits?on_failure={on_failure}&share=4"
                    with self.assertLogs("librl"):
                        storage = limits.storage.storage_from_string(uri)
                    self.assertFalse(storage.check())
                    limiter = strategy(storage)
                    self.assertEqual(sum(limiter.hit(item, "a") for _ in range(20)), most)
                    self.assertEqual(limiter.test(item, "a"), on_failure == "allow")
        with self.assertRaises(librl.Error):
            limits.storage.storage_from_string("shm:///nowhere-at-all/limits")


class Async(LimitsCase):
    def test_coroutines_count_in_the_same_segment(self):
        name = new_name()
        self.addCleanup(librl.remove, name)
        storage = limits.storage.storage_from_string(f"shm://{name}")
        other = limits.storage.storage_from_string(f"async+shm://{name}")
        item = limits.RateLimitItemPerYear(5)

        async def ask():
            for strategy, ours in [
                (limits.aio.strategies.FixedWindowRateLimiter,
                 limits.strategies.FixedWindowRateLimiter),
                (limits.aio.strategies.FixedWindowElasticExpiryRateLimiter,
                 limits.strategies.FixedWindowElasticExpiryRateLimiter),
                (limits.aio.strategies.MovingWindowRateLimiter,
                 limits.strategies.MovingWindowRateLimiter),
            ]:
                waiting, calling = strategy(other), ours(storage)
                user = strategy.__name__
                self.assertTrue(calling.hit(item, user))
                self.assertEqual([await waiting.hit(item, user) for _ in range(5)],
                                 [True] * 4 + [False])
                self.assertFalse(await waiting.test(item, user))
                self.assertEqual((await waiting.get_window_stats(item, user))[1], 0)
                self.assertFalse(calling.hit(item, user))
                await waiting.clear(item, user)
                self.assertTrue(await waiting.test(item, user))
            self.assertTrue(await other.check())
            await other.reset()

        asyncio.run(ask())
