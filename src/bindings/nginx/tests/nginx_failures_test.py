#!/usr/bin/env python3
"""What the module does when calls of nginx and of the library fail, which failing.c makes them do."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

import nginx_server
from nginx_server import Nginx, poll, rlctl, rows_of

ZONE = "rl_zone web path=SEGMENT keys=1000;\n"


def location(limit):
    return f"{ZONE}server {{ LISTEN location / {{ rl_limit {limit}; }} }}"


class Reloads(unittest.TestCase):
    def test_a_limit_that_cannot_be_read_again_is_asked_all_the_same(self):
        with Nginx(location('web api key=$rl_client "5/d"'), failing=True) as nginx:
            self.assertEqual(nginx.statuses(3), [200] * 3)
            with nginx.failing("bind"):
                nginx.reload(location('web api key=$rl_client "6/d"'))
            self.assertIn('cannot become "6/d"', nginx.errors())
            self.assertEqual(nginx.statuses(4), [200] * 3 + [429])


class Waits(unittest.TestCase):
    def test_who_cannot_be_held_up_gives_back_the_place_in_line(self):
        # With `deferred` nginx has read the request before it has the connection watched.
        with Nginx(location('web slow key=$rl_client "leaky 1/d queue=2" delay'), listen="deferred",
                   failing=True) as nginx:
            self.assertEqual(nginx.get().status, 200)
            before = self.remaining(nginx)
            with nginx.failing("watch"), socket.create_connection(("127.0.0.1", nginx.port)) as s:
                s.sendall(b"GET /page.html HTTP/1.0\r\n\r\n")
                self.assertIn(b" 500 ", s.recv(65536))
            poll(lambda: self.remaining(nginx) == before, "the place in line", 10)

    @staticmethod
    def remaining(nginx):
        row, = rows_of(rlctl("list", nginx.segment, "--json"))
        return row["remaining"]


class Tests(unittest.TestCase):
    KILLED = """
import nginx_server, signal
with nginx_server.Nginx("server { LISTEN }") as nginx:
    print(nginx.pid(), nginx.folder, flush=True)
    signal.pause()
"""

    def test_another_nginx_that_is_first_in_the_path_is_not_taken(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/nginx", "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\necho nginx version: nginx/1.99.9 >&2\n")
            os.chmod(file.name, 0o755)
            with unittest.mock.patch.dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}"):
                self.assertEqual(nginx_server.find("nginx"), file.name)
                self.assertEqual(nginx_server.find_nginx(), nginx_server.NGINX)

    def test_a_test_that_is_killed_leaves_no_nginx_behind(self):
        killed = subprocess.Popen([sys.executable, "-c", self.KILLED], stdout=subprocess.PIPE, text=True,
                                  cwd=os.path.dirname(os.path.abspath(__file__)))
        with killed:
            try:
                master, folder = killed.stdout.readline().split()
            finally:
                killed.kill()
        self.addCleanup(shutil.rmtree, folder)
        poll(lambda: not Nginx.lives(int(master)), "the end of nginx")


if __name__ == "__main__":
    nginx_server.main()
