"""The package as it is installed: README, quick starts, types, and what is said without librl."""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

import librl
from support import DEADLINE_S, HERE, Case, new_name, run_python

README = os.path.join(os.path.dirname(HERE), "README.md")
QUICK_STARTS = sorted(name for name in os.listdir(HERE) if name.startswith("quick_start"))


def read(*path):
    with open(os.path.join(HERE, *path), encoding="utf-8") as file:
        return file.read()


class QuickStarts(Case):
    def test_what_the_librarys_own_readme_shows_is_one_of_them(self):
        page = os.path.join(HERE, *[os.pardir] * 4, "README.md")
        if not os.path.exists(page):
            self.skipTest("this is the package alone")
        found = re.findall(r"^```python\n(.*?)^```", read(page), flags=re.S | re.M)
        self.assertEqual(len(found), 1)
        self.assertIn(found[0], [read(name) for name in QUICK_STARTS])

    def test_those_of_the_readme_are_these_files(self):
        found = re.findall(r"^```python\n(.*?)^```", read(README), flags=re.S | re.M)
        self.assertEqual(sorted(found), sorted(read(name) for name in QUICK_STARTS))

    def test_they_have_at_most_five_lines(self):
        self.assertGreaterEqual(len(QUICK_STARTS), 5)
        for name in QUICK_STARTS:
            lines = [line for line in read(name).splitlines() if line.strip()]
            self.assertLessEqual(len(lines), 5, name)

    def run_renamed(self, name, then=""):
        """Runs one in a segment of the test's own."""
        segment = new_name()
        self.addCleanup(librl.remove, segment)
        code = read(name).replace('"web"', repr(segment)).replace("shm://web", f"shm://{segment}")
        return run_python(code + textwrap.dedent(then))

    def test_a_limiter(self):
        then = "assert api.try_acquire('user:42', 199); assert not api.try_acquire('user:42', 50)"
        self.assertEqual(self.run_renamed("quick_start.py", then), "")

    def test_asyncio(self):
        self.assertEqual(self.run_renamed("quick_start_aio.py"), "its turn has come\n")

    FLASK = """
        app.add_url_rule("/", view_func=lambda: "hello")
        client = app.test_client()
        print([client.get("/").status_code for _ in range({tries})].count(200))
        """

    @unittest.skipUnless(importlib.util.find_spec("flask_limiter"), "no python3-flask-limiter")
    def test_flask_limiter(self):
        then = self.FLASK.format(tries=120)
        self.assertEqual(self.run_renamed("quick_start_flask.py", then), "100\n")

    @unittest.skipUnless(importlib.util.find_spec("flask"), "no python3-flask")
    def test_wsgi(self):
        # So much that no time until the request is enough to pay it.
        then = 'limiter.charge("127.0.0.1", 100_000)\n' + textwrap.dedent(
            self.FLASK.format(tries=1)
        )
        self.assertEqual(self.run_renamed("quick_start_wsgi.py", then), "0\n")

    @unittest.skipUnless(importlib.util.find_spec("fastapi"), "no python3-fastapi")
    def test_asgi(self):
        then = """
            import asyncio
            sent = []
            async def send(message): sent.append(message)
            async def receive(): return {"type": "http.request", "body": b""}
            scope = {"type": "http", "method": "GET", "path": "/", "headers": [],
                     "query_string": b"", "client": ("203.0.113.7", 1)}
            limiter.charge("203.0.113.7", 100_000)
            asyncio.run(app(scope, receive, send))
            print(sent[0]["status"])
            """
        self.assertEqual(self.run_renamed("quick_start_asgi.py", then), "429\n")


@unittest.skipUnless(importlib.util.find_spec("mypy"), "no mypy")
class Types(Case):
    def mypy(self, *arguments):
        # Away from the source, which would stand before the installed package.
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", *arguments]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                                  timeout=10 * DEADLINE_S, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_the_stubs_of_the_extension_are_what_it_has(self):
        status, told = self.mypy("mypy.stubtest", "librl._librl")
        self.assertEqual(status, 0, told)

    def test_the_package_is_strictly_typed(self):
        status, told = self.mypy("mypy", "--strict", "-p", "librl")
        self.assertEqual(status, 0, told)

    def test_wrong_uses_are_found_and_right_ones_are_not(self):
        right = """\
            import librl, librl.aio
            segment = librl.Segment("web", keys=10, on_failure="deny")
            limiter: librl.Limiter = segment.limiter("a", "1/s")
            seconds: float = limiter.try_acquire(b"user", cost=2).retry_after
            first: librl.Limiter = limiter[0]
            segment.set_policy("a", "2/s")
            limiter.try_acquire_at(segment.now_ns(), librl.sockaddr_key(("203.0.113.7", 80)), 2)
            with limiter.permit("user") as permit:
                number: int = permit.fence()
            async def wait() -> bool:
                return bool(await librl.aio.acquire(limiter, "user", timeout=1.5))
            """
        wrong = ['librl.Segment(5)', 'limiter.try_acquire(5)', 'limiter.try_acquire("user", "1")',
                 'limiter.try_acquire("user").allowed = True', 'limiter.headers("user")',
                 'librl.sockaddr_key("203.0.113.7")', 'limiter.try_acquire_at(1.5, "user")']
        status, told = self.mypy("mypy", "--strict", "-c", textwrap.dedent(right))
        self.assertEqual(status, 0, told)
        both = textwrap.dedent(right) + "\n".join(wrong)
        status, told = self.mypy("mypy", "--strict", "-c", both)
        self.assertEqual((status, told.count("error:")), (1, len(wrong)), told)


class Missing(Case):
    """What is said, in one sentence, where the library is not to be found."""

    def test_the_build_says_what_pkg_config_does_not_find(self):
        source = os.path.dirname(HERE)
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "PKG_CONFIG_LIBDIR": folder, "PKG_CONFIG_PATH": ""}
            command = ["meson", "setup", os.path.join(folder, "build"), source]
            done = subprocess.run(command, env=environment, capture_output=True, text=True,
                                  timeout=DEADLINE_S, check=False)
        self.assertNotEqual(done.returncode, 0)
        told = [line for line in done.stdout.splitlines() if "ERROR" in line]
        self.assertEqual(len(told), 1, done.stdout)
        self.assertRegex(told[0], "pkg-config does not find librl .*PKG_CONFIG_PATH")

    def test_an_import_says_what_the_linker_does_not_load(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "librl.so.0"), "wb") as file:
                file.write(b"no library")
            environment = {**os.environ, "LD_LIBRARY_PATH": folder}
            done = run_python("import librl", check=False, env=environment)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr.splitlines()[-1],
                         "ImportError: librl for Python cannot load the library .*ldconfig")

    def test_the_package_says_its_librarys_version(self):
        self.assertRegex(librl.__version__, r"^\d+\.\d+\.\d+$")
        for name in librl.__all__:
            self.assertTrue(hasattr(librl, name), name)
            self.assertTrue(name.isupper() or name == "Key" or getattr(librl, name).__doc__, name)
        for kind in (librl.Segment, librl.Limiter, librl.Decision, librl.Permit, librl.Count):
            for name, member in vars(kind).items():
                if not name.startswith("_"):
                    self.assertTrue(member.__doc__, f"{kind.__name__}.{name}")
