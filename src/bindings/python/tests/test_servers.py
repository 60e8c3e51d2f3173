"""Real servers with four workers that are recycled and killed: a limit of 100 gives exactly 100."""

import importlib.util
import os
import signal
import unittest
from concurrent.futures import ThreadPoolExecutor

import librl
from support import Case, Server, is_alive, new_name, poll

WORKERS = 4


def need(*modules):
    packages = {"gunicorn": "gunicorn", "uvicorn": "uvicorn", "fastapi": "python3-fastapi",
                "flask": "python3-flask", "flask_limiter": "python3-flask-limiter"}
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise unittest.SkipTest(f"{packages[module]} is not installed")


class Servers(Case):
    def setUp(self):
        self.name = new_name()
        self.addCleanup(librl.remove, self.name)

    def gunicorn(self, app, *options, **env):
        need("gunicorn")

        def arguments(port):
            return ["--workers", str(WORKERS), "--bind", f"127.0.0.1:{port}", "--log-level",
                    "error", "--worker-tmp-dir", "/dev/shm", *options, f"{app}:app"]

        return Server("gunicorn", arguments, WORKERS, {"RL_TEST_SEGMENT": self.name, **env})

    def uvicorn(self, app):
        need("uvicorn", "fastapi")

        def arguments(port):
            return ["--workers", str(WORKERS), "--host", "127.0.0.1", "--port", str(port),
                    "--log-level", "error", f"{app}:app"]

        return Server("uvicorn", arguments, WORKERS, {"RL_TEST_SEGMENT": self.name})

    def assert_exactly_100(self, server, between=lambda: None):
        """Asks 400 times, with something happening in between."""
        found = {200: 0, 429: 0}
        for _ in range(4):
            for status, count in server.statuses("/limited", 100).items():
                found[status] = found.get(status, 0) + count
            between()
        self.assertEqual(found, {200: 100, 429: 300})


class Gunicorn(Servers):
    def test_each_strategy_of_flask_limiter_gives_exactly_100_while_workers_come_and_go(self):
        need("flask", "flask_limiter")
        for strategy in ("fixed-window", "fixed-window-elastic-expiry", "moving-window"):
            with self.subTest(strategy):
                librl.remove(self.name)
                with self.gunicorn("served_storage", "--max-requests", "25",
                                   RL_TEST_STRATEGY=strategy) as server:
                    self.assert_exactly_100(server, server.kill_a_worker)
                    # Those killed, and those whose 25 requests were over.
                    self.assertGreater(server.seen(), WORKERS + 4)
                    status, fields = server.get("/limited")
                    self.assertEqual((status, fields["X-RateLimit-Remaining"]), (429, "0"))

    def test_the_middleware_gives_exactly_100_while_workers_come_and_go(self):
        need("flask")
        with self.gunicorn("served_wsgi", "--max-requests", "25") as server:
            self.assert_exactly_100(server, server.kill_a_worker)
            status, fields = server.get("/limited")
            self.assertEqual((status, fields["RateLimit-Policy"]), (429, '"api";q=100;w=86400'))
            self.assertGreaterEqual(int(fields["Retry-After"]), 1)

    def test_also_when_the_application_was_loaded_before_the_fork(self):
        need("flask", "flask_limiter")
        for app in ("served_wsgi", "served_storage"):
            with self.subTest(app):
                librl.remove(self.name)
                with self.gunicorn(app, "--preload", RL_TEST_STRATEGY="fixed-window") as server:
                    self.assert_exactly_100(server, server.kill_a_worker)

    def test_also_with_threads(self):
        need("flask")
        with self.gunicorn("served_wsgi", "--threads", "4") as server:
            self.assert_exactly_100(server)

    def test_a_worker_killed_at_work_costs_at_most_the_request_it_had(self):
        need("flask")
        with self.gunicorn("served_wsgi") as server, ThreadPoolExecutor(1) as pool:
            kills = 4
            asked = pool.submit(server.statuses, "/limited", 400)
            for kill in range(kills):
                poll(lambda due=20 + 20 * kill: server.asked >= due, "so many answers")
                server.kill_a_worker()
            found = asked.result()
            self.assertLessEqual(found[200], 100)
            self.assertGreaterEqual(found[200], 100 - kills)
            self.assertFalse(librl.Segment.open(self.name).limiter("api").peek("127.0.0.1"))

    def test_a_reload_keeps_what_was_used(self):
        need("flask")
        with self.gunicorn("served_wsgi") as server:

            def reload():
                old = server.workers()
                os.kill(server.process.pid, signal.SIGHUP)
                poll(lambda: not any(is_alive(pid) for pid in old), "the end of the old workers")
                poll(lambda: len(server.workers()) >= WORKERS, "the new workers")

            self.assert_exactly_100(server, reload)


class Uvicorn(Servers):
    def test_the_middleware_gives_exactly_100_in_four_processes(self):
        with self.uvicorn("served_asgi") as server:
            self.assert_exactly_100(server)
            status, fields = server.get("/limited")
            self.assertEqual((status, fields["ratelimit"][:9]), (429, '"api";r=0'))
            self.assertGreaterEqual(int(fields["retry-after"]), 1)

    def test_gunicorn_runs_it_too_and_workers_may_be_killed(self):
        need("uvicorn", "fastapi")
        with self.gunicorn("served_asgi", "--worker-class",
                           "uvicorn.workers.UvicornWorker") as server:
            self.assert_exactly_100(server, server.kill_a_worker)


class Outside(Servers):
    def test_what_another_process_does_to_a_key_all_workers_see(self):
        need("flask")
        with self.gunicorn("served_wsgi") as server:
            limiter = librl.Segment.open(self.name).limiter("api")
            self.assertTrue(limiter.set_remaining("127.0.0.1", 0))
            self.assertEqual(server.statuses("/limited", 16), {429: 16})
            self.assertTrue(limiter.reset("127.0.0.1"))
            self.assertEqual(server.statuses("/limited", 16), {200: 16})
            self.assertEqual(limiter.peek("127.0.0.1").remaining, 84)
