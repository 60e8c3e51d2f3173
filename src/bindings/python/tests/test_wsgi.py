"""librl.wsgi and librl.asgi, called as a server calls them."""

import asyncio
import io
import sys
from unittest import mock
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import librl
import librl.asgi
import librl.wsgi
from support import Case


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def request(app, **environ):
    """Asks as a server does that holds both sides to the standard; returns status, fields, body."""
    setup_testing_defaults(environ)
    environ.update({"wsgi.input": io.BytesIO(), "QUERY_STRING": ""})
    told = []

    def start_response(status, headers, exc_info=None):
        told[:] = [status, headers]
        return lambda data: None

    answer = validator(app)(environ, start_response)
    body = b"".join(answer)
    answer.close()
    status, fields = told
    return int(status.split()[0]), dict(fields), body


class Wsgi(Case):
    def setUp(self):
        self.segment = self.private()
        self.limiter = self.segment.limiter("api", "1/s burst=2")

    def test_what_is_denied_gets_429_and_when_to_come_back(self):
        app = librl.wsgi.RateLimit(hello, self.limiter)
        answers = [request(app, REMOTE_ADDR="203.0.113.7") for _ in range(3)]
        self.assertEqual([status for status, _, _ in answers], [200, 200, 429])
        self.assertEqual(answers[0][2], b"hello")
        self.assertEqual(answers[0][1]["RateLimit"], '"api";r=1;t=1')
        self.assertEqual(answers[0][1]["RateLimit-Policy"], '"api";q=2;w=2')
        self.assertEqual(answers[0][1]["Content-Type"], "text/plain")
        self.assertNotIn("Retry-After", answers[1][1])
        self.assertEqual(answers[2][1]["Retry-After"], "1")
        self.assertEqual(answers[2][2], b"429 Too Many Requests\n")
        self.segment.advance_clock(1)
        self.assertEqual(request(app, REMOTE_ADDR="203.0.113.7")[0], 200)

    def test_a_client_is_its_address_and_of_ipv6_its_network(self):
        app = librl.wsgi.RateLimit(hello, self.limiter, cost=2)
        for address, status in [("203.0.113.7", 200), ("203.0.113.8", 200), ("203.0.113.8", 429),
                                ("2001:db8::1", 200), ("2001:db8::2", 429), ("2001:db8:1::", 200)]:
            with self.subTest(address):
                self.assertEqual(request(app, REMOTE_ADDR=address)[0], status)

    def test_clients_without_an_address_share_a_key_and_that_is_said_once(self):
        app = librl.wsgi.RateLimit(hello, self.limiter)
        with self.assertLogs("librl", "WARNING") as told:
            statuses = [request(app, REMOTE_ADDR="")[0] for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])
        self.assertEqual(len(told.output), 1)
        self.assertEqual(self.limiter.peek("no address").remaining, 0)

    def test_a_key_of_your_own_may_leave_requests_out(self):
        app = librl.wsgi.RateLimit(hello, self.limiter, key=lambda e: e.get("HTTP_X_KEY"))
        for _ in range(5):
            status, fields, _ = request(app)
            self.assertEqual((status, "RateLimit" in fields), (200, False))
        self.assertEqual([request(app, HTTP_X_KEY="k")[0] for _ in range(3)], [200, 200, 429])

    def test_a_head_request_is_denied_without_a_body(self):
        app = librl.wsgi.RateLimit(hello, self.limiter, key=lambda environ: "k")
        self.limiter.try_acquire("k", 2)
        status, _, body = request(app, REQUEST_METHOD="HEAD")
        self.assertEqual((status, body), (429, b""))

    def test_a_queue_is_waited_in(self):
        segment = librl.Segment.private()
        limiter = segment.limiter("queue", "leaky 20/s queue=5")
        app = librl.wsgi.RateLimit(hello, limiter)
        began = segment.now_ns()
        statuses = [request(app, REMOTE_ADDR="::1")[0] for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 200])
        self.assertGreaterEqual(segment.now_ns() - began, 99_000_000)

    def test_who_is_ended_in_the_queue_leaves_it(self):
        for limits in ("leaky 1/h queue=5", "1000/h, leaky 1/h queue=5"):
            with self.subTest(limits):
                limiter = self.segment.limiter(f"queue-{len(limits)}", limits)
                app = librl.wsgi.RateLimit(hello, limiter, key=lambda environ: "k")
                limiter.try_acquire("k")
                with mock.patch("time.sleep", side_effect=SystemExit):
                    with self.assertRaises(SystemExit):
                        request(app)
                self.assertEqual(limiter.peek("k").wait, 3600)
                self.assertEqual(limiter[0].peek("k").remaining, limiter[0].peek("k").limit - 1)

    def test_an_error_of_the_application_goes_on_with_its_information(self):
        def fails(environ, start_response):
            try:
                raise KeyError("inside")
            except KeyError:
                start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"oops"]

        status, fields, _ = request(librl.wsgi.RateLimit(fails, self.limiter), REMOTE_ADDR="::1")
        self.assertEqual(status, 500)
        self.assertIn("RateLimit", fields)


async def async_hello(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-mine", b"1")]})
    await send({"type": "http.response.body", "body": b"hello"})


def ask(app, **scope):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "client": ("203.0.113.7", 4711), **scope}
    asyncio.run(app(scope, receive, send))
    return sent


class Asgi(Case):
    def setUp(self):
        self.segment = self.private()
        self.limiter = self.segment.limiter("api", "1/s burst=2")
        self.app = librl.asgi.RateLimit(async_hello, self.limiter)

    def test_what_is_denied_gets_429_and_when_to_come_back(self):
        answers = [ask(self.app) for _ in range(3)]
        self.assertEqual([sent[0]["status"] for sent in answers], [200, 200, 429])
        self.assertEqual(answers[0][0]["headers"], [
            (b"x-mine", b"1"),
            (b"ratelimit-policy", b'"api";q=2;w=2'),
            (b"ratelimit", b'"api";r=1;t=1'),
        ])
        self.assertIn((b"retry-after", b"1"), answers[2][0]["headers"])
        self.assertEqual(answers[2][1]["body"], b"429 Too Many Requests\n")
        self.assertEqual(ask(self.app, method="HEAD")[1]["body"], b"")
        self.assertEqual(ask(self.app, client=("203.0.113.8", 1))[0]["status"], 200)

    def test_a_websocket_is_closed_before_it_is_accepted(self):
        self.limiter.try_acquire("203.0.113.7", 2)
        sent = ask(self.app, type="websocket")
        self.assertEqual(sent, [{"type": "websocket.close", "code": 1013}])

    def test_what_is_no_request_is_let_through(self):
        for _ in range(5):
            self.assertEqual(ask(self.app, type="lifespan"), [])
        self.assertEqual(self.limiter.peek("203.0.113.7").remaining, 2)

    def test_clients_without_an_address_share_a_key(self):
        with self.assertLogs("librl", "WARNING"):
            statuses = [ask(self.app, client=None)[0]["status"] for _ in range(3)]
        self.assertEqual(statuses, [200, 200, 429])

    def test_a_queue_is_waited_in_by_each_request_for_itself(self):
        segment = librl.Segment.private()
        app = librl.asgi.RateLimit(async_hello, segment.limiter("queue", "leaky 20/s queue=5"))
        scope = {"type": "http", "method": "GET", "client": ("203.0.113.7", 1)}
        done = []

        async def send(message):
            if message["type"] == "http.response.start":
                done.append((message["status"], segment.now_ns()))

        async def all_at_once():
            await asyncio.gather(*(app(dict(scope), None, send) for _ in range(3)))

        began = segment.now_ns()
        asyncio.run(all_at_once())
        self.assertEqual([status for status, _ in done], [200, 200, 200])
        self.assertGreaterEqual(done[1][1] - began, 49_000_000)
        self.assertGreaterEqual(done[2][1] - began, 99_000_000)

    def test_who_is_cancelled_in_the_queue_leaves_it(self):
        for limits in ("leaky 1/h queue=5", "1000/h, leaky 1/h queue=5"):
            with self.subTest(limits):
                segment = librl.Segment.private()
                limiter = segment.limiter("queue", limits)
                app = librl.asgi.RateLimit(async_hello, limiter, key=lambda scope: "k")
                limiter.try_acquire("k")

                async def cancelled():
                    task = asyncio.create_task(app({"type": "http", "method": "GET"}, None, None))
                    while limiter.peek("k").wait < 5400:
                        await asyncio.sleep(0)
                    task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task

                asyncio.run(asyncio.wait_for(cancelled(), 60))
                self.assertLess(limiter.peek("k").wait, 5400)
