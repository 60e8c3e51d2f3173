#!/usr/bin/env python3
"""Counts that outlive reloads, upgrades of the binary and kill -9 of workers, under wrk; and the same
segment used by rlctl and by an application behind nginx.

With RL_DEEP=1 the load is on for 30 s, else for 5."""

import collections
import math
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

import nginx_server
from nginx_server import Nginx, free_port, poll, rlctl, rows_of

SECONDS = 30 if nginx_server.IS_DEEP else 5
WRK = nginx_server.find("wrk")
HERE = os.path.dirname(os.path.abspath(__file__))
ZONE = "rl_zone web path=SEGMENT keys=1000;\n"

# Asks for /page.html?k=0, ?k=1 and so on, so that many keys are under load at once.
MANY_KEYS = """
local i = 0
request = function()
  i = (i + 1) % KEYS
  return wrk.format("GET", "/page.html?k=" .. i)
end
"""


def location(*limits):
    lines = " ".join(f"rl_limit {limit};" for limit in limits)
    return f"{ZONE}server {{ LISTEN location / {{ {lines} }} }}"


def wrk(nginx, seconds, path="/page.html", keys=0, connections=32):
    """Starts it; wait() returns what it said."""
    command = [WRK, "-t", "1", "-c", str(connections), "-d", f"{seconds}s"]
    if keys:
        nginx.write(f"{nginx.folder}/keys.lua", MANY_KEYS.replace("KEYS", str(keys)))
        command += ["-s", f"{nginx.folder}/keys.lua"]
    return subprocess.Popen([*command, f"http://127.0.0.1:{nginx.port}{path}"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(load, seconds):
    """Waits for it, and returns how many requests it says it made."""
    try:
        said = load.communicate(timeout=seconds + nginx_server.DEADLINE_S)[0]
    finally:
        load.kill()
        load.wait()
    assert load.returncode == 0, said
    return int(said.split(" requests in ")[0].split()[-1])


def passed(nginx):
    return sum(1 for _, status, _, _ in nginx.requests() if status == 200)


def settled(nginx):
    """Waits until the log has all of it: workers write at the end of a request."""
    seen = -1
    while (now := len(nginx.requests())) != seen:
        seen = now
        time.sleep(0.2)


class Kept(unittest.TestCase):
    """What was counted stays counted, to the call."""

    def test_whatever_becomes_of_the_processes(self):
        http = location('web api key=$rl_client "100/d"')
        with Nginx(http, upgrades=True) as nginx:
            events = [nginx.kill_worker, nginx.reload, nginx.upgrade, nginx.kill_worker, nginx.upgrade,
                      nginx.reload, lambda: nginx.reload(http, workers=4),
                      lambda: nginx.reload(http.replace('"100/d"', '"100/d" status=503')),
                      lambda: nginx.reload(http.replace("keys=1000", "keys=2000"), workers=2)]
            for event in events:
                self.assertEqual(nginx.statuses(10), [200] * 10)
                event()
            self.assertEqual(nginx.statuses(12), [200] * 10 + [429] * 2)

    def test_reloads_leave_nothing_behind(self):
        with Nginx(location('web api key=$rl_client "1000/d, 2000/d"')) as nginx:
            before = self.held(nginx)
            for _ in range(5):
                nginx.reload()
            # What it has of a worker the master lets go of when it hears of its end.
            poll(lambda: self.held(nginx) == before, f"{before}, as before the reloads")

    @staticmethod
    def held(nginx):
        """Returns how often the master has the segment mapped, and how many files it has open."""
        inode = os.stat(nginx.segment).st_ino
        with open(f"/proc/{nginx.pid()}/maps", encoding="ascii") as file:
            mapped = [line for line in file if line.split()[4] == str(inode) and "/shm/" in line]
        return len(mapped), len(os.listdir(f"/proc/{nginx.pid()}/fd"))

    def test_from_one_start_to_the_next(self):
        http = location('web api key=$rl_client "10/d"')
        with Nginx(http) as nginx:
            self.assertEqual(nginx.statuses(6), [200] * 6)
            nginx.signal(signal.SIGKILL)  # the master; its workers go on, and are ended by hand
            orphans = nginx.workers(nginx.masters[0]) or workers_of(nginx)
            poll(lambda: not nginx.lives(nginx.masters[0]), "the end of the master")
            for worker in orphans:
                os.kill(worker, signal.SIGKILL)
                poll(lambda pid=worker: not nginx.lives(pid), "the end of a worker")
            os.unlink(f"{nginx.folder}/pid")
            with nginx:
                self.assertEqual(nginx.statuses(6), [200] * 4 + [429] * 2)

    def test_a_segment_whose_file_is_deleted_is_counted_in_all_the_same(self):
        """The workers have it from the master. To bring it back takes its owner, who is root here: the log
        says so."""
        with Nginx(location('web api key=$rl_client "100/d"')) as nginx:
            self.assertEqual(nginx.statuses(60), [200] * 60)
            os.unlink(nginx.segment)
            poll(lambda: nginx.get("/nothing.html?").status and self.is_told_of(nginx), "a look")
            self.assertEqual(nginx.statuses(100)[-1], 429)
            settled(nginx)
            self.assertEqual(sum(1 for r in nginx.requests() if r[1] != 429), 100)

    @staticmethod
    def is_told_of(nginx):
        return os.path.exists(nginx.segment) or "cannot be followed" in nginx.errors()

    def test_a_segment_of_the_workers_own_is_brought_back(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        http = location('web free key=$rl_client "100000/s"', 'web api key=$arg_k "10/d"')
        http = http.replace("keys=1000", "keys=100 owner=www-data group=www-data any_owner")
        with Nginx(http) as nginx:
            self.assertEqual(nginx.statuses(6, "/page.html?k=1"), [200] * 6)
            os.unlink(nginx.segment)
            poll(lambda: nginx.get() and os.path.exists(nginx.segment), "the segment")
            nginx.reload()
            self.assertEqual(nginx.statuses(6, "/page.html?k=1"), [200] * 4 + [429] * 2)


def workers_of(nginx):
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit()
            and "nginx: worker" in nginx_server.title_of(pid) and nginx.folder in open_files(pid)]


def open_files(pid):
    try:
        return " ".join(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return ""


@unittest.skipIf(WRK is None, "there is no wrk here")
class UnderLoad(unittest.TestCase):
    def test_exactly_the_limit_passes(self):
        with Nginx(location('web api key=$rl_client "100/d"')) as nginx:
            asked = end(wrk(nginx, 2), 2)
            settled(nginx)
            self.assertGreater(asked, 1000)
            self.assertGreaterEqual(len(nginx.requests()), asked)
            self.assertEqual(passed(nginx), 100)
            self.assertEqual({row["remaining"] for row in
                              rows_of(rlctl("list", nginx.segment, "--json"))}, {0})

    def test_bound_a_holds_under_kills_reloads_and_upgrades(self):
        """A key is admitted burst + T / interval in any time T: here the time from the first answer in
        the log to the last, and 50 ms for what the log's clock is late."""
        rate, burst = 20, 10
        with Nginx(location(f'web api key=$arg_k "{rate}/s burst={burst}"'),
                   upgrades=True) as nginx:
            kills = self.load_and_disturb(nginx, keys=8)
            admitted = collections.Counter(p for _, s, _, p in nginx.requests() if s == 200)
            times = [at for at, _, _, _ in nginx.requests()]
            most = burst + math.floor((times[-1] - times[0] + 0.05) * rate)
            print(f"{kills} kills; a key {min(admitted.values())} to {max(admitted.values())} times, "
                  f"at most {most}")
            self.assertEqual(len(admitted), 8)
            self.assertLessEqual(max(admitted.values()), most)
            self.assertGreater(min(admitted.values()), burst)

    def test_counts_are_kept_under_kills_reloads_and_upgrades(self):
        """So many keys that none is used up: what is left of some is asked for afterwards. Of each kill
        the one request may be missing that was charged and not yet in the log."""
        limit, sample = 60, 30
        http = location(f'web api key=$arg_k "{limit}/d"')
        with Nginx(http.replace("keys=1000", f"keys={2000 * SECONDS}"), upgrades=True) as nginx:
            kills = self.load_and_disturb(nginx, keys=1000 * SECONDS)
            paths = [f"/page.html?k={k}" for k in range(sample)]
            for path in paths:
                while nginx.get(path).status == 200:
                    pass
            settled(nginx)
            admitted = collections.Counter(p for _, s, _, p in nginx.requests() if s == 200)
            counts = [admitted[path] for path in paths]
            print(f"{kills} kills; {sample} keys {min(counts)} to {max(counts)} times, {limit} is right")
            self.assertLessEqual(max(admitted.values()), limit)
            self.assertLessEqual(sum(limit - count for count in counts), kills)

    def load_and_disturb(self, nginx, keys):
        """Returns how often a worker was killed, when all is over and in the log."""
        load = wrk(nginx, SECONDS, keys=keys)
        try:
            kills, reloads, upgrades = self.disturb(nginx, SECONDS)
            asked = end(load, SECONDS)
        finally:
            load.kill()
            load.wait()
        settled(nginx)
        print(f"{asked} requests, {kills} kills, {reloads} reloads, {upgrades} upgrades")
        self.assertGreater(asked, 1000)
        return kills

    @staticmethod
    def disturb(nginx, seconds):
        """Kills, reloads and upgrades by turns until the time is over."""
        counts = [0, 0, 0]
        events = [nginx.kill_worker, nginx.reload, nginx.upgrade]
        over = time.monotonic() + seconds - 1
        while time.monotonic() < over or min(counts) == 0:
            which = sum(counts) % len(events)
            events[which]()
            counts[which] += 1
            time.sleep(0.1)
        return counts


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Shared(unittest.TestCase):
    """nginx and the application behind it count in one segment."""

    def test_a_python_application_charges_the_same_keys(self):
        port = free_port()
        http = f"""{ZONE}server {{ LISTEN location / {{
            rl_limit web api key=$rl_client "100/d";
            proxy_set_header X-Client $rl_client; proxy_pass http://127.0.0.1:{port}; }} }}"""
        with Nginx(http) as nginx:
            # The address of the key is in the header, and each answer costs one more.
            command = [sys.executable, f"{HERE}/application.py", nginx.segment, str(port)]
            application = subprocess.Popen(command, env=nginx_server.environment(),
                                           stderr=subprocess.DEVNULL)
            try:
                # Asked itself: through nginx each try would be charged.
                poll(lambda: listens(port) or application.poll() is not None, "the application")
                self.assertIsNone(application.poll())
                told = [nginx.get().body for _ in range(60)]
                self.assertEqual(told[:50], [f"{left} left\n" for left in range(98, -1, -2)])
                self.assertTrue(all("429" in body for body in told[50:]))
            finally:
                application.terminate()
                application.wait()

    def test_rlctl_sees_what_nginx_counts(self):
        with Nginx(location('web api key=$rl_client "100/d"')) as nginx:
            nginx.statuses(30)
            row, = rows_of(rlctl("list", nginx.segment, "--json"))
            self.assertEqual((row["policy"], row["key"], row["remaining"]), ("api", "127.0.0.1", 70))
            rlctl("acquire", nginx.segment, "api", "127.0.0.1", "--cost", "69")
            self.assertEqual(nginx.statuses(2), [200, 429])
            self.assertIn("nothing found", rlctl("doctor", nginx.segment, codes=(0, 1)))


if __name__ == "__main__":
    nginx_server.main()
