"""A real nginx with the module in it, in a folder of its own, for the tests beside this file.

The tests get what they need in the environment: NGINX_MODULE, NGINX_SOURCES (those of nginx-dev),
NGINX_FAILING (failing.c), LIBRL (the library), RLCTL, and in NGINX_EXTRAS the folder where programs lie that
are not installed. What is missing skips them, with a word."""

import collections
import contextlib
import ctypes
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

DEADLINE_S = 60
MODULE = os.environ.get("NGINX_MODULE", "")
RLCTL = os.environ.get("RLCTL", "rlctl")
EXTRAS = os.environ.get("NGINX_EXTRAS", "")
FAILING = os.environ.get("NGINX_FAILING", "")
SOURCES = os.environ.get("NGINX_SOURCES", "/usr/share/nginx/src")
IS_DEEP = os.environ.get("RL_DEEP", "0") not in ("", "0")
PR_SET_CHILD_SUBREAPER = 36

numbers = itertools.count()


def find_all(program):
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"]
    folders += [f"{EXTRAS}/usr/sbin", f"{EXTRAS}/usr/bin"]
    return [path for folder in folders if (path := shutil.which(program, path=folder))]


def find(program):
    return next(iter(find_all(program)), None)


def environment():
    libraries = f"{EXTRAS}/usr/lib/{os.uname().machine}-linux-gnu"
    return {**os.environ, "LD_LIBRARY_PATH": libraries}


def version_of(nginx):
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False, env=environment(),
                          timeout=DEADLINE_S).stderr
    return said.partition("nginx/")[2].split(" ")[0].strip()


def version_wanted():
    """Returns that of the headers which the module is built with: it is loaded into no other."""
    with contextlib.suppress(FileNotFoundError), \
            open(f"{SOURCES}/src/core/nginx.h", encoding="utf-8") as file:
        return re.search(r'NGINX_VERSION\s+"(.*)"', file.read())[1]
    return None


def find_nginx():
    """Debian's need not be the first in the PATH."""
    wanted = version_wanted()
    return next((path for path in find_all("nginx") if version_of(path) == wanted), None)


NGINX = find_nginx()


def what_is_missing():
    if not os.path.exists(MODULE):
        return "the module is not built: what it needs is not here, as `meson setup` says"
    if NGINX is None:
        return f"there is no nginx {version_wanted()} here, for which the module is built"
    return None


def poll(question, what, deadline_s=DEADLINE_S):
    end = time.monotonic() + deadline_s
    while not (answer := question()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.02)
    return answer


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def rlctl(*arguments, codes=(0,)):
    result = subprocess.run([RLCTL, *arguments], capture_output=True, text=True, timeout=DEADLINE_S,
                            check=False)
    assert result.returncode in codes, (arguments, result.stdout, result.stderr)
    return result.stdout


def rows_of(text):
    return [json.loads(line) for line in text.splitlines()]


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def title_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


Answer = collections.namedtuple("Answer", "status headers body")


class Nginx:
    """A master with two workers; `with` starts it, and ends it with all it has started.

    In what it is given SEGMENT stands for the path of a segment that goes with it. With failing, calls fail
    that failing.c knows, as long as they are told to. Who wants to upgrade the binary says so: nginx does that
    only as a daemon, and any other ends with the program of the tests, also when that is killed."""

    def __init__(self, http, listen="", main="user www-data;", workers=2, failing=False,
                 upgrades=False):
        self.name = f"test-{os.getpid()}-{next(numbers)}"
        self.folder = f"/tmp/{self.name}"
        self.segment = f"/dev/shm/rl.{self.name}"
        self.port = free_port()
        self.masters = []
        self.main, self.listen, self.workers_wanted = main, listen, workers
        self.is_daemon = upgrades
        self.environment = environment()
        if failing:
            self.environment.update(LD_PRELOAD=FAILING, RL_FAILING=f"{self.folder}/failing")
        os.umask(0o022)  # workers are somebody else, and read what is here
        os.makedirs(f"{self.folder}/logs", exist_ok=True)
        os.makedirs(f"{self.folder}/html", exist_ok=True)
        self.write(f"{self.folder}/html/page.html", "page\n")
        self.configure(http)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, http, workers=None, main=None):
        self.main = self.main if main is None else main
        self.workers_wanted = workers or self.workers_wanted
        http = http.replace("SEGMENT", self.segment)
        self.text = f"""{self.main}
load_module {MODULE};
env LD_LIBRARY_PATH;
daemon {"on" if self.is_daemon else "off"};
worker_processes {self.workers_wanted};
worker_shutdown_timeout 5s;
pid {self.folder}/pid;
error_log {self.folder}/logs/error.log info;
events {{ worker_connections 256; }}
http {{
  log_format told '$msec $status $rl_status $uri$is_args$args';
  access_log {self.folder}/logs/access.log told;
  keepalive_requests 1000000;
  server_tokens off;
  root {self.folder}/html;
  {"".join(f"{kind}_temp_path {self.folder}/{kind}; " for kind in TEMPORARY)}
{http.replace("LISTEN", f"listen 127.0.0.1:{self.port} {self.listen};")}
}}
"""
        self.write(f"{self.folder}/nginx.conf", self.text)

    def command(self, *more):
        return [NGINX, "-p", self.folder, "-c", f"{self.folder}/nginx.conf", "-e",
                f"{self.folder}/logs/error.log", *more]

    def run(self, *more):
        return subprocess.run(self.command(*more), capture_output=True, text=True, check=False,
                              env=self.environment, timeout=DEADLINE_S)

    def test(self):
        """Returns what `nginx -t` says, and its exit code."""
        result = self.run("-t")
        return result.returncode, result.stderr

    def start(self):
        """Returns when a master has taken the configuration; raises what it said if it does not."""
        if self.is_daemon:
            result = self.run()
            if result.returncode != 0:
                raise AssertionError(result.stderr)
            self.masters = [self.pid()]
            return
        said = f"{self.folder}/said"
        to_said = [(os.POSIX_SPAWN_OPEN, 2, said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)]
        command = ["setpriv", "--pdeathsig", "TERM", *self.command()]
        self.masters = [os.posix_spawnp(command[0], command, self.environment, file_actions=to_said)]
        poll(lambda: self.told_pid() or not self.lives(self.masters[0]), "a master")
        if not self.told_pid():
            with open(said, encoding="utf-8") as file:
                raise AssertionError(file.read())

    def __enter__(self):
        # A daemon is nobody's child; who ends it must be told of its end.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            self.start()
            poll(lambda: len(self.workers()) == self.workers_wanted, "workers")
        except BaseException:
            self.__exit__()
            raise
        return self

    @contextlib.contextmanager
    def failing(self, what):
        self.write(f"{self.folder}/failing", what)
        try:
            yield
        finally:
            os.unlink(f"{self.folder}/failing")

    def told_pid(self):
        try:
            with open(f"{self.folder}/pid", encoding="ascii") as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def pid(self):
        return poll(self.told_pid, "the master's process id")

    def workers(self, master=None):
        return [pid for pid in children_of(master or self.pid())
                if "worker process" in title_of(pid) and "shutting" not in title_of(pid)]

    def signal(self, number, master=None):
        os.kill(master or self.pid(), number)

    def reload(self, http=None, **more):
        """Returns when the workers of the configuration before are gone."""
        if http is not None:
            self.configure(http, **more)
        before = self.workers()
        self.signal(signal.SIGHUP)
        poll(lambda: len(self.workers()) == self.workers_wanted and not set(before) & set(self.workers())
             and not [pid for pid in children_of(self.pid()) if "shutting" in title_of(pid)], "a reload")

    def upgrade(self):
        """Starts the binary anew under the same sockets, and ends the one before."""
        before = self.pid()
        self.signal(signal.SIGUSR2)
        poll(lambda: os.path.exists(f"{self.folder}/pid.oldbin") and self.pid() != before, "a new master")
        after = self.pid()
        self.masters.append(after)
        poll(lambda: len(self.workers(after)) == self.workers_wanted, "new workers")
        self.signal(signal.SIGWINCH, before)
        poll(lambda: not children_of(before) or children_of(before) == [after], "old workers are gone")
        self.signal(signal.SIGQUIT, before)
        poll(lambda: not self.lives(before), "the old master is gone")

    def kill_worker(self):
        victim = self.workers()[0]
        os.kill(victim, signal.SIGKILL)
        poll(lambda: victim not in self.workers() and len(self.workers()) == self.workers_wanted,
             "another worker")

    @staticmethod
    def lives(pid):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass
        return os.path.exists(f"/proc/{pid}")

    def __exit__(self, *_):
        for master in self.masters:
            if not self.lives(master):
                continue
            os.kill(master, signal.SIGTERM)
            try:
                poll(lambda pid=master: not self.lives(pid), "the end of a master", 20)
            except AssertionError:
                for pid in [master, *children_of(master)]:
                    os.kill(pid, signal.SIGKILL)
                self.lives(master)
        self.remove()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.path.exists(self.segment):
            os.unlink(self.segment)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def get(self, path="/page.html", headers=None, method="GET"):
        connection = self.connect()
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode("latin-1"))
        finally:
            connection.close()

    def statuses(self, count, path="/page.html", headers=None):
        return [self.get(path, headers).status for _ in range(count)]

    def errors(self):
        with open(f"{self.folder}/logs/error.log", encoding="utf-8") as file:
            return file.read()

    def requests(self, count=0):
        """Returns (seconds, status, $rl_status, path) of each request in the log, as soon as there are so
        many: a worker writes after it has answered. Only those of one worker stand in their order."""
        def lines():
            with open(f"{self.folder}/logs/access.log", encoding="utf-8") as file:
                return [line.split() for line in file]

        poll(lambda: len(lines()) >= count, f"{count} requests in the log")
        return [(float(at), int(status), told, path) for at, status, told, path in lines()]


TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]


def main():
    """Runs the tests of the program, and ends with the line that tools/count-tests reads."""
    if (why := what_is_missing()) is not None:
        print(f"SKIPPED: {why}")
        print("test cases: 1 | 0 passed | 0 failed | 1 skipped")
        sys.exit(0)
    result = unittest.main(exit=False, testRunner=unittest.TextTestRunner(sys.stdout, verbosity=2)).result
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for case, why in result.skipped:
        print(f"SKIPPED: {why}", case)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"test cases: {result.testsRun} | {passed} passed | {failed} failed "
          f"| {len(result.skipped)} skipped")
    sys.exit(1 if failed else 0)
