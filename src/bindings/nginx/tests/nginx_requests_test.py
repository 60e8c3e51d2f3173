#!/usr/bin/env python3
"""What rl_limit does with requests: keys, answers, response fields, variables, waits."""

import concurrent.futures
import contextlib
import os
import socket
import struct
import subprocess
import time
import unittest

import nginx_server
from nginx_server import Nginx, poll, rlctl, rows_of

HERE = os.path.dirname(os.path.abspath(__file__))
NGHTTP = nginx_server.find("nghttp")
ZONE = "rl_zone web path=SEGMENT keys=1000;\n"


def server(body, around=""):
    return ZONE + around + "server { LISTEN\n" + body + "\n}"


def location(*limits, more=""):
    lines = "\n".join(f"rl_limit {limit};" for limit in limits)
    return server(f"location / {{ {lines} {more} }}")


def keys(nginx, policy="api"):
    return {row["key"]: row for row in rows_of(rlctl("list", nginx.segment, "--json"))
            if row["policy"] == policy}


class QuickStart(unittest.TestCase):
    def test_the_readmes_have_the_file_that_is_run_here(self):
        with open(f"{HERE}/quick_start.conf", encoding="utf-8") as file:
            text = file.read()
        for readme in ("../README.md", "../../../../README.md"):
            with open(f"{HERE}/{readme}", encoding="utf-8") as file:
                self.assertIn(f"```nginx\n{text}```\n", file.read())
        self.assertLessEqual(len(text.splitlines()), 5)
        http = text.replace("/run/rl.web", "SEGMENT").replace("1M", "1k").replace("listen 80;", "LISTEN")
        with Nginx(http) as nginx:
            told = nginx.statuses(40)
            self.assertEqual(told[:20], [200] * 20)
            self.assertIn(429, told)


class Keys(unittest.TestCase):
    def test_an_address_is_a_key_that_rlctl_knows(self):
        with Nginx(location('web api key=$binary_remote_addr "3/d"')) as nginx:
            self.assertEqual(nginx.statuses(5), [200] * 3 + [429] * 2)
            row = keys(nginx)["127.0.0.1"]
            self.assertEqual((row["remaining"], row["denied_count"]), (0, 2))

    def test_a_client_of_ipv6_is_its_network(self):
        """The address is as realip finds it; one found for the location counts, too."""
        limits = """set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
            rl_limit web host key=$binary_remote_addr "2/d";
            rl_limit web site key=$rl_client "4/d" ipv6_prefix=48 ipv4_prefix=24;
            add_header X-Client $rl_client;"""
        with Nginx(server(f"location / {{ {limits} }}")) as nginx:
            def ask(*addresses):
                return [nginx.get(headers={"X-Real-IP": a}).status for a in addresses]

            self.assertEqual(ask("2001:db8:1:2::7", "2001:DB8:1:2:ffff::1", "2001:db8:1:2::9"),
                             [200, 200, 429], "of one /64")
            self.assertEqual(ask("2001:db8:1:3::7", "2001:db8:1:4::7", "2001:db8:1:5::7"),
                             [200, 200, 429], "of one /48")
            self.assertEqual(ask("203.0.113.1", "203.0.113.2"), [200, 200])
            self.assertIn("2001:db8:1:2::/64", keys(nginx, "host"))
            self.assertIn("2001:db8:1::/48", keys(nginx, "site"))
            self.assertEqual(keys(nginx, "site")["203.0.113.0/24"]["remaining"], 2)
            answer = nginx.get(headers={"X-Real-IP": "2001:db8:9::1"})
            self.assertEqual(answer.headers["X-Client"], "2001:db8:9::/64")

    def test_a_key_is_any_text_with_variables(self):
        with Nginx(location('web api "key=$rl_client $arg_user" "1/d"')) as nginx:
            for user in ("a", "b", "x" * 4000, "%00%ff", "a%20b"):
                self.assertEqual(nginx.statuses(2, f"/page.html?user={user}"), [200, 429], user[:9])
            self.assertIn("127.0.0.1 a", keys(nginx))

    def test_a_key_of_any_bytes(self):
        with Nginx(location('web api key=$http_x_key "1/d"')) as nginx:
            for key in (b"\xff\xfe\x01", b"\xc3\xa9", b"k" * 6000, b'"\\'):
                with socket.create_connection(("127.0.0.1", nginx.port)) as s:
                    request = b"GET /page.html HTTP/1.1\r\nHost: a\r\nX-Key: " + key + b"\r\n\r\n"
                    s.sendall(request)
                    self.assertIn(b"200 OK", s.recv(65536))
                    s.sendall(request)
                    self.assertIn(b"429 Too", s.recv(65536))

    def test_who_has_an_empty_key_is_not_asked(self):
        with Nginx(location('web api key=$arg_user "1/d"')) as nginx:
            self.assertEqual(nginx.statuses(3), [200] * 3)
            self.assertNotIn("RateLimit", nginx.get().headers)
            self.assertEqual({told for _, _, told, _ in nginx.requests(4)}, {"-"})

    def test_clients_of_a_unix_socket_share_a_key(self):
        http = location('web api key=$binary_remote_addr "2/d"')
        nginx = Nginx(http.replace("LISTEN", "LISTEN listen unix:FOLDER/socket;"))
        nginx.configure(http.replace("LISTEN", f"LISTEN listen unix:{nginx.folder}/socket;"))
        with nginx:
            for expected in (b"200 OK", b"200 OK", b"429 Too"):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(f"{nginx.folder}/socket")
                    s.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
                    self.assertIn(expected, s.recv(65536))


class Answers(unittest.TestCase):
    def test_fields_and_variables(self):
        more = """add_header X-Told "$rl_status $rl_policy $rl_remaining $rl_limit $rl_reason" always;
                  add_header X-Wait "$rl_retry_after" always;"""
        with Nginx(location('web api key=$rl_client "2/h"', more=more)) as nginx:
            first, second, third = nginx.get(), nginx.get(), nginx.get()
            self.assertEqual(first.headers["RateLimit-Policy"], '"api";q=2;w=3600')
            self.assertEqual(first.headers["RateLimit"], '"api";r=1;t=1800')
            self.assertEqual(first.headers["X-Told"], "PASSED api 1 2 ok")
            self.assertNotIn("Retry-After", first.headers)
            self.assertNotIn("X-Wait", first.headers)
            self.assertEqual(second.headers["X-Told"], "PASSED api 0 2 ok")
            self.assertEqual(third.status, 429)
            self.assertEqual(third.headers["X-Told"], "REJECTED api 0 2 limited")
            wait = int(third.headers["Retry-After"])
            self.assertTrue(1790 <= wait <= 1805, wait)
            self.assertEqual(third.headers["X-Wait"], third.headers["Retry-After"])

    def test_no_fields_where_they_are_off(self):
        with Nginx(location('web api key=$rl_client "1/d"', more="rl_headers off;")) as nginx:
            for answer in (nginx.get(), nginx.get()):
                for field in ("RateLimit", "RateLimit-Policy", "Retry-After"):
                    self.assertNotIn(field, answer.headers)

    def test_the_status_is_the_one_of_the_limit_that_denied(self):
        with Nginx(location('web api key=$rl_client "2/d" status=503',
                            'web all key=all "3/d" status=420')) as nginx:
            self.assertEqual(nginx.statuses(3), [200, 200, 503])
            self.assertEqual(nginx.get("/page.html").status, 503)
            rlctl("reset", nginx.segment, "api", "127.0.0.1")
            self.assertEqual(nginx.statuses(2), [200, 420])

    def test_all_or_nothing(self):
        with Nginx(location('web api key=$rl_client "9/d"', 'web all key=all "3/d"')) as nginx:
            self.assertEqual(nginx.statuses(6), [200] * 3 + [429] * 3)
            self.assertEqual(keys(nginx)["127.0.0.1"]["remaining"], 6, "a denial charged nothing")
            answer = nginx.get()
            self.assertEqual(answer.headers["RateLimit-Policy"], '"api";q=9;w=86400, "all";q=3;w=86400')
            self.assertTrue(answer.headers["RateLimit"].startswith('"all";r=0;'))

    def test_a_list_is_all_or_nothing_too(self):
        with Nginx(location('web api key=$rl_client "9/d, window 3/d"')) as nginx:
            told = nginx.statuses(5)
            self.assertEqual(told, [200] * 3 + [429] * 2)
            self.assertIn('"api#2";q=3', nginx.get().headers["RateLimit-Policy"])
            self.assertTrue(nginx.get().headers["RateLimit"].startswith('"api#2";r=0;'))

    def test_one_policy_in_two_places_counts_once(self):
        body = """location /a { rl_limit web api key=$rl_client "3/d"; empty_gif; }
                  location /b { rl_limit web api key=$rl_client; empty_gif; }"""
        with Nginx(server(body)) as nginx:
            self.assertEqual(nginx.statuses(2, "/a") + nginx.statuses(2, "/b"), [200] * 3 + [429])

    def test_limits_are_inherited_and_switched_off(self):
        body = """rl_limit web api key=$rl_client "2/d";
                  location / { } location /free { rl_limit off; empty_gif; }
                  location /own { rl_limit web own key=$rl_client "1/d"; empty_gif; }"""
        with Nginx(server(body)) as nginx:
            self.assertEqual(nginx.statuses(3), [200, 200, 429])
            self.assertEqual(nginx.statuses(3, "/free"), [200] * 3)
            self.assertEqual(nginx.statuses(2, "/own"), [200, 429])

    def test_shadow_denies_nobody_and_says_so(self):
        with Nginx(location('web api key=$rl_client "2/d" shadow'), workers=1) as nginx:
            self.assertEqual(nginx.statuses(3), [200] * 3)
            self.assertEqual([told for _, _, told, _ in nginx.requests(3)],
                             ["PASSED", "PASSED", "REJECTED_DRY_RUN"])
            rlctl("policy", "shadow", nginx.segment, "api", "off")
            self.assertEqual(nginx.get().status, 429)
            rlctl("policy", "shadow", nginx.segment, "api", "on")
            self.assertEqual(nginx.get().status, 200)

    def test_a_ban_by_rlctl_rejects_at_once(self):
        with Nginx(location('web api key=$rl_client "1000/s"')) as nginx:
            self.assertEqual(nginx.get().status, 200)
            rlctl("ban", nginx.segment, "api", "127.0.0.1", "--for", "1h")
            answer = nginx.get()
            self.assertEqual(answer.status, 429)
            self.assertTrue(3590 <= int(answer.headers["Retry-After"]) <= 3610)
            self.assertIn("banned", rlctl("why", nginx.segment, "127.0.0.1", codes=(1,)))
            rlctl("unban", nginx.segment, "api", "127.0.0.1")
            self.assertEqual(nginx.get().status, 200)

    def test_limits_off_by_rlctl(self):
        with Nginx(location('web api key=$rl_client "1/d"')) as nginx:
            self.assertEqual(nginx.statuses(2), [200, 429])
            rlctl("off", nginx.segment)
            self.assertEqual(nginx.statuses(3), [200] * 3)
            rlctl("on", nginx.segment)
            self.assertEqual(nginx.get().status, 429)

    def test_a_policy_removed_under_it_stops_nobody(self):
        with Nginx(location('web api key=$rl_client "1/d"')) as nginx:
            self.assertEqual(nginx.statuses(2), [200, 429])
            rlctl("policy", "rm", nginx.segment, "api")
            self.assertEqual(nginx.statuses(2), [200] * 2)


class Redirects(unittest.TestCase):
    """A request is asked once, whatever way it takes in nginx."""

    def test_an_index_is_one_request(self):
        body = 'index page.html; rl_limit web api key=$rl_client "3/d";'
        with Nginx(server(body)) as nginx:
            self.assertEqual(nginx.statuses(4, "/"), [200] * 3 + [429])

    def test_an_error_page_is_part_of_it_and_keeps_what_was_told(self):
        body = """rl_limit web api key=$rl_client "2/d";
                  error_page 429 /page.html;"""
        with Nginx(server(body), workers=1) as nginx:
            told = [nginx.get("/page.html") for _ in range(3)]
            self.assertEqual([a.status for a in told], [200, 200, 429])
            self.assertEqual(told[2].body, "page\n")
            self.assertIn("Retry-After", told[2].headers)
            self.assertEqual(len(told[2].headers.get_all("RateLimit")), 1)
            self.assertEqual([r[2] for r in nginx.requests(3)], ["PASSED", "PASSED", "REJECTED"])

    def test_a_named_location_after_a_rejection(self):
        body = """location / { rl_limit web api key=$rl_client "1/d"; error_page 429 = @busy; }
                  location @busy { rl_limit web other key=$rl_client "1/d"; empty_gif; }"""
        with Nginx(server(body)) as nginx:
            self.assertEqual(nginx.statuses(4), [200] * 4)
            self.assertEqual(keys(nginx, "other"), {})

    def test_subrequests_are_not_asked(self):
        body = """location / { auth_request /auth;
                               rl_limit web api key=$rl_client "2/d";
                  }
                  location /auth { internal; rl_limit web auth key=$rl_client "1/d"; empty_gif; }"""
        with Nginx(server(body)) as nginx:
            self.assertEqual(nginx.statuses(3), [200, 200, 429])
            nginx.reload(server(body.replace("rl_limit web api", "#")))
            self.assertEqual(nginx.statuses(3), [200] * 3)

    def test_many_requests_of_one_connection(self):
        with Nginx(location('web api key=$rl_client "5/d"')) as nginx:
            with socket.create_connection(("127.0.0.1", nginx.port)) as s:
                request = b"GET /page.html HTTP/1.1\r\nHost: a\r\n"
                s.sendall((request + b"\r\n") * 9 + request + b"Connection: close\r\n\r\n")
                answer = b""
                while chunk := s.recv(65536):
                    answer += chunk
            self.assertEqual((answer.count(b" 200 OK"), answer.count(b" 429 Too")), (5, 5))


class Waits(unittest.TestCase):
    """delay: a request is held up, and the worker goes on."""

    SLOW = 'web slow key=$arg_k "leaky 2/s queue=4"'
    SLOWER = 'web slow key=$arg_k "leaky 1/m queue=4"'

    def at_once(self, nginx, count, path="/page.html"):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            def ask(_):
                answer = nginx.get(path)
                return answer.status, time.monotonic()

            begin = time.monotonic()
            return sorted((status, at - begin) for status, at in pool.map(ask, range(count)))

    def test_a_leaky_limit_lets_go_one_after_the_other(self):
        with Nginx(location(self.SLOW + " delay"), workers=2) as nginx:
            told = self.at_once(nginx, 8, "/page.html?k=1")
            passed = [at for status, at in told if status == 200]
            # Five at once, and more only if it took them half a second to ask.
            self.assertGreaterEqual(len(passed), 5)
            # Never two within an interval: the fifth not before 2 s.
            for i, at in enumerate(passed):
                self.assertGreaterEqual(at, i * 0.5 - 0.005)
            said = [r[2] for r in nginx.requests(8)]
            self.assertEqual(said.count("REJECTED"), 8 - len(passed))
            self.assertGreaterEqual(said.count("DELAYED"), 4)

    def test_without_delay_it_counts_and_lets_pass(self):
        with Nginx(location(self.SLOWER)) as nginx:
            self.assertEqual(nginx.statuses(8, "/page.html?k=1").count(200), 5)
            self.assertEqual({r[2] for r in nginx.requests(8)}, {"PASSED", "REJECTED"})

    def test_others_are_served_while_some_wait(self):
        body = f"""location / {{ }} location /slow {{ rl_limit {self.SLOW} delay; empty_gif; }}"""
        with Nginx(server(body), workers=1) as nginx:
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                waiting = [pool.submit(nginx.get, "/slow?k=1") for _ in range(4)]
                poll(lambda: "delayed" in nginx.errors(), "one that waits")
                self.assertEqual(nginx.get().status, 200)
                self.assertFalse(all(w.done() for w in waiting))
                self.assertEqual({w.result().status for w in waiting}, {200})

    def test_a_bucket_has_a_line_as_long_as_the_delay(self):
        with Nginx(location('web slow key=$arg_k "2/s burst=2" delay=1s')) as nginx:
            told = self.at_once(nginx, 7, "/page.html?k=1")
            self.assertGreaterEqual([status for status, _ in told].count(200), 4)
            self.assertGreaterEqual(max(at for status, at in told if status == 200), 0.995)

    def test_a_leaky_one_of_several_limits(self):
        with Nginx(location(self.SLOW + " delay", 'web api key=$arg_k "3/d"')) as nginx:
            told = self.at_once(nginx, 5, "/page.html?k=1")
            self.assertEqual([status for status, _ in told].count(200), 3)
            self.assertGreaterEqual(max(at for status, at in told if status == 200), 0.995)

    def test_in_shadow_nobody_waits(self):
        with Nginx(location(self.SLOWER + " delay=1h shadow"), workers=1) as nginx:
            self.assertEqual(nginx.statuses(7, "/page.html?k=1"), [200] * 7)
            self.assertEqual([r[2] for r in nginx.requests(7)],
                             ["PASSED"] + ["DELAYED_DRY_RUN"] * 4 + ["REJECTED_DRY_RUN"] * 2)

    def test_the_queue_of_a_leaky_limit_says_how_long(self):
        """A minute in line and more, where delay=TIME does not say less."""
        for delay, waiting in {"delay": 2, "delay=90s": 1, "delay=5s": 0}.items():
            with self.subTest(delay), contextlib.ExitStack() as open_ones, \
                    Nginx(location(f'web slow key=$arg_k "leaky 1/m queue=2" {delay}')) as nginx:
                self.assertEqual(nginx.get("/page.html?k=1").status, 200)
                for n in range(waiting):
                    s = open_ones.enter_context(socket.create_connection(("127.0.0.1", nginx.port)))
                    s.sendall(b"GET /page.html?k=1 HTTP/1.1\r\nHost: a\r\n\r\n")
                    poll(lambda n=n: nginx.errors().count(": delayed") > n, "a place in line")
                self.assertEqual(nginx.get("/page.html?k=1").status, 429)

    def test_who_hangs_up_gives_back_the_place_in_line(self):
        with Nginx(location('web slow key=$arg_k "leaky 1/m queue=1" delay=1h')) as nginx:
            self.assertEqual(nginx.get("/page.html?k=1").status, 200)
            for i in range(3):
                with socket.create_connection(("127.0.0.1", nginx.port)) as s:
                    logged = nginx.errors().count("delayed")
                    s.sendall(b"GET /page.html?k=1 HTTP/1.1\r\nHost: a\r\n\r\n")
                    poll(lambda n=logged: nginx.errors().count("delayed") > n, "a place in line")
                    self.assertEqual(nginx.get("/page.html?k=1").status, 429, "the line is full")
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                poll(lambda n=i: [r[1] for r in nginx.requests()].count(499) == n + 1, "who hung up")

    def test_a_request_with_a_body_waits(self):
        body = f"""location / {{ rl_limit {self.SLOW} delay; proxy_pass http://127.0.0.1:$server_port/b; }}
                   location /b {{ return 204; }}"""
        with Nginx(server(body), workers=1) as nginx:
            for _ in range(3):
                connection = nginx.connect()
                connection.request("PUT", "/?k=1", body=b"x" * 300_000)
                self.assertEqual(connection.getresponse().status, 204)
                connection.close()
            self.assertEqual([r[2] for r in nginx.requests(6) if r[3].startswith("/?")],
                             ["PASSED", "DELAYED", "DELAYED"])

    @unittest.skipIf(NGHTTP is None, "there is no nghttp here")
    def test_streams_of_http_2_wait_each_for_itself(self):
        with Nginx(location(self.SLOW + " delay"), listen="http2") as nginx:
            command = [NGHTTP, "-n", "-m", "7", f"http://127.0.0.1:{nginx.port}/page.html?k=1"]
            subprocess.run(command, capture_output=True, check=True, timeout=nginx_server.DEADLINE_S)
            told = nginx.requests(7)
            self.assertEqual(sorted(r[1:3] for r in told), [(200, "DELAYED")] * 4 +
                             [(200, "PASSED")] + [(429, "REJECTED")] * 2)
            self.assertGreaterEqual(told[-1][0] - told[0][0], 1.95, "the fifth after 2 s")

    def test_a_reload_lets_those_who_wait_go_on(self):
        with Nginx(location(self.SLOW + " delay")) as nginx:
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                waiting = [pool.submit(nginx.get, "/page.html?k=1") for _ in range(4)]
                poll(lambda: nginx.errors().count("delayed") >= 3, "three that wait")
                nginx.reload()
                self.assertEqual([w.result().status for w in waiting], [200] * 4)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@unittest.skipUnless(has_ipv6(), "this machine has no IPv6")
class Ipv6(unittest.TestCase):
    def test_a_peer(self):
        http = location('web api key=$binary_remote_addr "1/d"')
        nginx = Nginx(http)
        nginx.configure(http.replace("LISTEN", f"LISTEN listen [::1]:{nginx.port};"))
        with nginx:
            for expected in (b"200 OK", b"429 Too"):
                with socket.create_connection(("::1", nginx.port)) as s:
                    s.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
                    self.assertIn(expected, s.recv(65536))
            self.assertIn("::/64", keys(nginx))


if __name__ == "__main__":
    nginx_server.main()
