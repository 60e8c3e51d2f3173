#!/usr/bin/env python3
"""What `nginx -t` says of rl_zone and rl_limit, and what a configuration makes of a segment."""

import contextlib
import os
import pwd
import stat
import subprocess
import tempfile
import time
import unittest

import nginx_server
from nginx_server import Nginx, rlctl, rows_of

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(f"{HERE}/../../../..")
ZONE = "rl_zone web path=SEGMENT keys=1000;\n"


def location(*limits):
    lines = "\n".join(f"    rl_limit {limit};" for limit in limits)
    return ZONE + f"server {{ LISTEN\n  location / {{\n{lines}\n  }}\n}}"


def policies(nginx):
    return {row["policy"]: row["policy_limit"]
            for row in rows_of(rlctl("policy", "list", nginx.segment, "--json"))}


class Refusals(unittest.TestCase):
    """Each is refused with what is wrong, the file and the line; nothing is left behind."""

    def refuse(self, http, *says):
        nginx = Nginx(http)
        try:
            code, said = nginx.test()
            self.assertNotEqual(code, 0, said)
            for words in says:
                self.assertIn(words, said)
            self.assertRegex(said, rf"in {nginx.folder}/nginx.conf:\d+")
            self.assertFalse(os.path.exists(nginx.segment))
            self.assertNotEqual(nginx.run().returncode, 0)
        finally:
            nginx.remove()

    def test_a_line_is_the_directives(self):
        nginx = Nginx(location('web api key=$uri "10 per s"'))
        try:
            line = 1 + nginx.text.splitlines().index('    rl_limit web api key=$uri "10 per s";')
            self.assertIn(f"nginx.conf:{line}", nginx.test()[1])
        finally:
            nginx.remove()

    def test_options_of_a_zone(self):
        for option, says in {
            "path=relative": "a path begins with '/'",
            "keys=many": "it is a number such as",
            "keys=0": "it is a number such as",
            "keys=1000000000000": "a segment holds 1 to",
            "keys=99999999999999999999999": "it is a number such as",
            "mode=rw": "it is octal",
            "mode=0060": "the owner needs read and write",
            "mode=0777": "nothing to execute",
            "on_failure=panic": "it is refuse, allow, deny or local",
            "labels=some": "it is on or off",
            "owner=nobody-of-that-name": "there is no such user",
            "group=nobody-of-that-name": "there is no such group",
            "size=10m": "rl_zone has no such option",
        }.items():
            with self.subTest(option):
                self.refuse(f"rl_zone web {option};", f'"{option}"' if "mode=0" not in option
                            and "000000000000" not in option else "rl_zone", says)

    def test_a_zone_that_is_there_twice(self):
        self.refuse("rl_zone web path=SEGMENT;\nrl_zone web path=SEGMENT;", 'rl_zone "web"', "already")

    def test_a_zone_with_a_name_that_no_segment_has(self):
        self.refuse("rl_zone we/b;", 'rl_zone "we/b"')

    def test_a_zone_in_a_folder_that_is_not_there(self):
        self.refuse("rl_zone web path=/run/not-there/web;", "/run/not-there/web")

    def test_a_zone_that_is_no_segment(self):
        nginx = Nginx(ZONE)
        nginx.write(nginx.segment, "something else\n")
        try:
            code, said = nginx.test()
            self.assertNotEqual(code, 0)
            self.assertRegex(said, r'rl_zone "web": .* in .*nginx.conf:\d+')
            self.assertNotEqual(nginx.run().returncode, 0)
            with open(nginx.segment, encoding="utf-8") as file:
                self.assertEqual(file.read(), "something else\n")
        finally:
            nginx.remove()

    def test_a_zone_that_is_not_there(self):
        self.refuse(location('wob api key=$uri "10/s"'), 'there is no rl_zone "wob"')

    def test_limits(self):
        for limit, says in {
            'web api key=$uri "10 per s"': '"api"',
            "web api key=$uri 10/s burst=20": "in quotes",
            'web api key=$uri "10/s" "20/s"': "in quotes",
            'web api key=$uri "concurrency 5"': "it is no limit of requests",
            'web api key=$uri "10/s, window 5/x"': '"api"',
            f'web {"n" * 100} key=$uri "10/s"': "n" * 64,
            'web api "10/s" delay': "has no key=",
            'web api "10/s"': "has no key=",
            "web": '"off" alone',
            'web api key= "10/s"': "a key is a text with variables",
            'web api key=$uri key=$args "10/s"': "a second key",
            'web api key=$uri "10/s" status=200': "from 400 to 599",
            'web api key=$uri "10/s" status=x': "from 400 to 599",
            'web api key=$uri "10/s" delay=soon': "it is a time such as",
            'web api key=$uri "10/s" delay=0': "it is a time such as",
            'web api key=$uri "10/s" delay=400d': "it is a time such as",
            'web api key=$uri "10/s" ipv6_prefix=64': "has a prefix, and a key that is not",
            'web api key=$rl_client "10/s" ipv6_prefix=129': "a number of bits",
            'web api key=$rl_client "10/s" ipv4_prefix=33': "a number of bits",
            "web api key=$uri shadow": '"shadow" stands beside a limit',
            "web api key=$uri": "has no limit",
        }.items():
            with self.subTest(limit):
                self.refuse(location(limit), says)

    def test_one_policy_with_two_limits(self):
        self.refuse(location('web api key=$uri "10/s"', 'web api key=$args "20/s"'),
                    'is "20/s" here and "10/s" in')

    def test_a_wait_for_one_of_several_limits(self):
        self.refuse(location('web api key=$uri "10/s" delay', 'web site key=site "20/s"'), '"api"',
                    "leaky")
        self.refuse(location('web api key=$uri "10/s, 100/h" delay'), "leaky")
        self.refuse(location('web api key=$uri "leaky 10/s queue=5" delay=1s',
                             'web site key=site "20/s"'), '"delay="')

    def test_more_limits_than_can_be_asked_together(self):
        self.refuse(location(*(f'web p{i} key=$uri "{i}/s"' for i in range(1, 18))), "16 limits")

    def test_off_beside_a_limit(self):
        self.refuse(location("off", 'web api key=$uri "10/s"'), "is off, and has a limit")
        self.refuse(location('web api key=$uri "10/s"', "off"), "is off, and has a limit")


class Building(unittest.TestCase):
    """Who cannot build it is told why in one sentence."""

    def build(self, *command, shell=""):
        environment = {**os.environ, "PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": "/not-there"}
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([*command, *([] if shell else [folder, nginx_server.SOURCES])], check=False,
                                    input=shell, capture_output=True, text=True, env=environment,
                                    timeout=nginx_server.DEADLINE_S)
        self.assertEqual(result.returncode, 1, result.stderr)
        return result.stderr

    def test_without_librl(self):
        said = self.build(f"{HERE}/../build")
        self.assertEqual(len(said.splitlines()), 1)
        self.assertIn("pkg-config does not find librl", said)

    def test_without_librl_in_a_configure_of_nginx(self):
        said = self.build("sh", shell=f"ngx_addon_dir={HERE}/.. ; . {HERE}/../config")
        self.assertIn("pkg-config does not find librl", said)

    def test_without_what_nginx_is_built_with(self):
        """The library and all else is built all the same."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/known")
            listed = subprocess.run(["pkg-config", "--variable", "pc_path", "pkg-config"], check=True,
                                    capture_output=True, text=True).stdout.strip()
            known = [f"{at}/{name}" for at in listed.split(":") if os.path.isdir(at)
                     for name in os.listdir(at)]
            for path in known:
                if not os.path.basename(path).startswith(("libpcre2-8.", "openssl.")):
                    with contextlib.suppress(FileExistsError):
                        os.symlink(path, f"{folder}/known/{os.path.basename(path)}")
            environment = {**os.environ, "PKG_CONFIG_PATH": "", "PKG_CONFIG_LIBDIR": f"{folder}/known"}
            result = subprocess.run(["meson", "setup", f"{folder}/build", ROOT], check=False, text=True,
                                    capture_output=True, env=environment, timeout=300)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertRegex(result.stdout, "the module for nginx is not built: it needs .*"
                                            "libpcre2-dev, libssl-dev")

    def test_without_nginx_dev(self):
        result = subprocess.run([f"{HERE}/../build", "/not-there", "/not-there"], check=False,
                                capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stderr),
                         (1, "build: there is no /not-there/configure; install nginx-dev\n"))


class Tests(unittest.TestCase):
    """`nginx -t` makes nothing and changes nothing."""

    def test_a_good_one_makes_no_segment(self):
        nginx = Nginx(location('web api key=$uri "10/s"', 'web slow key=$uri "leaky 1/s queue=2"'))
        try:
            self.assertEqual(nginx.test()[0], 0)
            self.assertFalse(os.path.exists(nginx.segment))
        finally:
            nginx.remove()

    def test_a_changed_limit_is_not_in_force_before_the_reload(self):
        with Nginx(location('web api key=$uri "10/s"')) as nginx:
            nginx.configure(location('web api key=$uri "20/s"', 'web more key=$uri "1/s"'))
            self.assertEqual(nginx.test()[0], 0)
            self.assertEqual(policies(nginx), {"api": "10/s"})

    def test_a_policy_of_the_segment_needs_no_limit(self):
        with Nginx(location('web api key=$uri "10/s"')) as nginx:
            nginx.configure(location("web api key=$uri"))
            self.assertEqual(nginx.test()[0], 0)
            nginx.configure(location("web other key=$uri"))
            code, said = nginx.test()
            self.assertNotEqual(code, 0)
            self.assertIn('rl_limit "other"', said)


class NoLimitsOfRequests(unittest.TestCase):
    """What the segment has under a policy's name may be nothing that a request can be asked for."""

    def test_permits_and_counters_are_refused(self):
        nginx = Nginx(ZONE)
        self.addCleanup(nginx.remove)
        rlctl("create", nginx.segment, "--keys", "100")
        for name, text in {"uploads": "concurrency 5", "hits": "counter"}.items():
            rlctl("policy", "set", nginx.segment, name, text)
            for written in (' "5/d"', ""):
                with self.subTest(text + written):
                    nginx.configure(location(f"web {name} key=$rl_client{written}"))
                    started = nginx.run()
                    for code, said in nginx.test(), (started.returncode, started.stderr):
                        self.assertNotEqual(code, 0)
                        self.assertRegex(said, f'rl_limit "{name}": the segment has permits or a count'
                                               rf" .* in {nginx.folder}/nginx.conf:\d+")

    def test_a_reload_with_one_is_refused(self):
        good = location('web api key=$rl_client "5/d"')
        with Nginx(good) as nginx:
            workers = nginx.workers()
            rlctl("policy", "set", nginx.segment, "hits", "counter")
            nginx.configure(good.replace("web api", "web hits"))
            nginx.signal(nginx_server.signal.SIGHUP)
            nginx_server.poll(lambda: 'rl_limit "hits": the segment has' in nginx.errors(), "the refusal")
            self.assertEqual(nginx.workers(), workers)
            self.assertEqual(nginx.statuses(6), [200] * 5 + [429])


class Segments(unittest.TestCase):
    """What the start and a reload make of them."""

    def test_the_workers_have_it_by_their_group(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file to a group that is not its own")
        with Nginx(location('web api key=$rl_client "5/d"'), main="user www-data;") as nginx:
            there = os.stat(nginx.segment)
            self.assertEqual(stat.S_IMODE(there.st_mode), 0o660)
            self.assertEqual((there.st_uid, there.st_gid),
                             (0, pwd.getpwnam("www-data").pw_gid))
            self.assertEqual(nginx.statuses(6, "/page.html"), [200] * 5 + [429])
            for worker in nginx.workers():
                self.assertNotEqual(os.stat(f"/proc/{worker}").st_uid, 0)

    def test_owner_and_mode_as_they_are_given(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a file away")
        zone = "rl_zone web path=SEGMENT keys=100 owner=www-data mode=0600 any_owner;"
        http = location('web api key=$rl_client "5/d"').replace(ZONE, zone)
        with Nginx(http) as nginx:
            there = os.stat(nginx.segment)
            self.assertEqual(stat.S_IMODE(there.st_mode), 0o600)
            self.assertEqual(there.st_uid, pwd.getpwnam("www-data").pw_uid)
            nginx.reload()
            self.assertEqual(nginx.statuses(6), [200] * 5 + [429])

    def test_a_list_is_policies_of_its_own(self):
        with Nginx(location('web api key=$uri "10/s, 100/h" shadow')) as nginx:
            self.assertEqual(policies(nginx), {"api": "10/s shadow", "api#2": "100/h shadow"})

    def test_without_labels_rlctl_sees_no_keys(self):
        http = location('web api key=$rl_client "5/d"').replace("keys=1000", "keys=10 labels=off")
        with Nginx(http) as nginx:
            nginx.statuses(2)
            self.assertNotIn("127.0.0.1", rlctl("list", nginx.segment))

    def test_a_limit_that_is_written_anew_is_in_force_after_the_reload(self):
        with Nginx(location('web api key=$rl_client "5/d"')) as nginx:
            self.assertEqual(nginx.statuses(6), [200] * 5 + [429])
            nginx.reload(location('web api key=$rl_client "8/d"'))
            self.assertEqual(policies(nginx), {"api": "8/d"})
            self.assertEqual(nginx.statuses(4), [200] * 3 + [429], "what was used stays used")
            nginx.reload(location('web api key=$rl_client "8/d, 9/d"'))
            self.assertEqual(policies(nginx), {"api": "8/d", "api#2": "9/d"})

    def test_nginx_reloads_itself(self):
        """It reads the configuration in a process of its own, which is to leave the segment alone."""
        with Nginx(location('web api key=$rl_client "5/d"')) as nginx:
            nginx.configure(location('web api key=$rl_client "8/d"'))
            self.assertEqual(nginx.run("-s", "reload").returncode, 0)
            nginx_server.poll(lambda: policies(nginx) == {"api": "8/d"}, "the limit")
            row, = rows_of(rlctl("policy", "list", nginx.segment, "--json"))
            self.assertEqual(row["id"], 2, "nobody else took an entry, to note what he asked for")

    def test_what_rlctl_changes_outlives_a_reload_that_changes_nothing(self):
        http = location('web api key=$rl_client "5/d"')
        with Nginx(http, upgrades=True) as nginx:
            rlctl("policy", "set", nginx.segment, "api", "2/d")
            nginx.reload(http)
            self.assertEqual(policies(nginx), {"api": "2/d"})
            self.assertEqual(nginx.statuses(3), [200] * 2 + [429])
            self.assertIn("the segment's stands", nginx.errors())
            nginx.upgrade()
            self.assertEqual(policies(nginx), {"api": "2/d"})

    def test_a_configuration_that_is_refused_leaves_the_one_before(self):
        good = location('web api key=$rl_client "5/d"')
        with Nginx(good) as nginx:
            workers = nginx.workers()
            nginx.configure(good.replace("5/d", "7/d") + "server { listen 300.0.0.1:1; }")
            nginx.signal(nginx_server.signal.SIGHUP)
            nginx_server.poll(lambda: "300.0.0.1" in nginx.errors(), "the refusal")
            nginx.configure(good.replace("path=SEGMENT", "path=/run/not-there/web"))
            nginx.signal(nginx_server.signal.SIGHUP)
            nginx_server.poll(lambda: "/run/not-there/web" in nginx.errors(), "the refusal")
            self.assertEqual(nginx.workers(), workers)
            self.assertEqual(policies(nginx), {"api": "5/d"})
            self.assertEqual(nginx.statuses(6), [200] * 5 + [429])

    def test_the_module_can_go_and_come_back(self):
        http = location('web api key=$rl_client "5/d"')
        with Nginx(http) as nginx:
            self.assertEqual(nginx.statuses(3), [200] * 3)
            load = nginx.text.splitlines()[1]
            self.assertIn("load_module", load)
            plain = nginx.text.replace(load, "").replace("$rl_status", "none")
            plain = "\n".join(line for line in plain.splitlines() if "rl_" not in line)
            nginx.write(f"{nginx.folder}/nginx.conf", plain)
            nginx.reload()
            self.assertEqual(nginx.statuses(3), [200] * 3)
            nginx.reload(http)
            self.assertEqual(nginx.statuses(3), [200] * 2 + [429])


class WithoutSegment(unittest.TestCase):
    """on_failure: what is done when the segment cannot be had."""

    def statuses(self, on_failure, limit="4/d"):
        # A file that is no segment is in its place.
        nginx = Nginx(location(f'web api key=$rl_client "{limit}"')
                      .replace("keys=1000", f"on_failure={on_failure}"), workers=2)
        nginx.write(nginx.segment, "something else\n")
        self.assertEqual(nginx.test()[0], 0)
        self.assertIn("would begin without its segment", nginx.test()[1])
        with nginx:
            self.assertIn("unavailable", nginx.errors())
            told = nginx.statuses(12)
            os.unlink(nginx.segment)
            nginx_server.poll(lambda: nginx.get() and os.path.exists(nginx.segment), "a segment")
            return told

    def test_allow(self):
        self.assertEqual(self.statuses("allow"), [200] * 12)

    def test_deny(self):
        self.assertEqual(self.statuses("deny"), [429] * 12)

    def test_where_only_root_may_make_files_it_takes_a_reload(self):
        if os.geteuid() != 0:
            self.skipTest("only root can start workers who are somebody else")
        limit = location('web api key=$rl_client "4/d"')
        nginx = Nginx(limit)
        nginx.segment = f"{nginx.folder}/web"  # of root, as /run is
        nginx.configure(limit.replace("keys=1000", "on_failure=allow"))
        nginx.write(nginx.segment, "something else\n")
        with nginx:
            os.unlink(nginx.segment)
            end = time.monotonic() + 4  # of which nothing was there for two, and they would have made it
            while time.monotonic() < end:
                self.assertEqual(nginx.get().status, 200)
            self.assertFalse(os.path.exists(nginx.segment))
            nginx.reload()
            self.assertEqual(nginx.statuses(5), [200] * 4 + [429])

    def test_local_divides_by_the_workers(self):
        told = self.statuses("local")
        self.assertIn(told.count(200), (2, 3, 4), "two for each worker that was asked so often")


if __name__ == "__main__":
    nginx_server.main()
