#!/usr/bin/env python3
"""Completion in the real shells: presses the key in bash (with and without the package
bash-completion), zsh and fish, and looks at what the line has become.

usage: completion_shells_test.py FOLDER     of the scripts; RLCTL names the program

Ends with the line that tools/count-tests reads. A shell that is not here skips its cases."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SCRIPTS = os.path.abspath(sys.argv[1])
RLCTL = os.environ["RLCTL"]
DEADLINE_S = 60
BASH_COMPLETION = "/usr/share/bash-completion/bash_completion"

# Keys that differ in the letter they begin with, so that one letter names each.
KEYS = {
    "u": "user:42",
    "2": "2001:db8::1",
    "[": "[::1]:80",
    "a": "a b  c",
    "i": "it's",
    "q": 'q"uote',
    "d": "d$HOME`id`",
    "m": "me@host=x",
    "s": "s;|&<>(){}",
    "g": "g*?",
    "e": "e!bang",
    "ü": "ünï→",
    "h": "h#~%^,",
}
# What cannot be typed as it is shown, or not at all without more ado.
NEVER = [b"n\x1b[31m", b"n\x01", b"n\xff", b"n\\x", b"n\nl", b"n" * 300, "n\u202e".encode()]


def poll(question, what):
    end = time.monotonic() + DEADLINE_S
    while not (answer := question()):
        if time.monotonic() > end:
            raise AssertionError(f"nothing came within {DEADLINE_S} s: {what()}")
    return answer


class Terminal:
    """A shell at a terminal of its own, whose line is written to a file when Ctrl-T is pressed."""

    def __init__(self, folder, command, setup):
        self.told = os.path.join(folder, "line")
        self.screen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.type(setup.replace("LINE_FILE", self.told) + "\n")
        self.type(f"echo ready > {self.told}\n")
        assert self.next_line() == "ready"

    def read(self, wait_s=0.02):
        while select.select([self.fd], [], [], wait_s)[0]:
            try:
                self.screen += os.read(self.fd, 65536)
            except OSError:
                return

    def type(self, text):
        for begin in range(0, len(text), 256):  # a terminal holds so much and no more
            os.write(self.fd, text[begin : begin + 256].encode())
            self.read()

    def next_line(self):
        def arrived():
            self.read()
            return os.path.exists(self.told) and open(self.told, encoding="utf-8").read()

        line = poll(arrived, lambda: self.screen[-2000:])
        os.unlink(self.told)
        return line.removesuffix("\n")

    def complete(self, typed, keys="\t"):
        """Returns what the line becomes."""
        self.type(typed + keys + "\x14")
        line = self.next_line()
        self.type("\x15")
        return line

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


BASH_SETUP = r"""
PS1='> ' HISTFILE=
bind 'set enable-bracketed-paste off'; bind 'set completion-query-items 0'
bind 'set page-completions off'; bind 'set bell-style none'
told() { printf '%s\n' "$READLINE_LINE" > LINE_FILE.new; mv LINE_FILE.new LINE_FILE; }
bind -x '"\C-t": told'
"""
ZSH_SETUP = r"""
PS1='> ' HISTFILE= LISTMAX=1000; unsetopt beep
told() { print -r -- "$BUFFER" > LINE_FILE.new; mv LINE_FILE.new LINE_FILE }
zle -N told; bindkey -e; bindkey '^T' told; bindkey '^U' kill-whole-line
autoload -Uz compinit; compinit -u -D
"""


@contextlib.contextmanager
def bash(folder):
    with at_terminal(folder, ["bash", "--norc", "--noprofile", "-i"],
                     BASH_SETUP + f"source {SCRIPTS}/rlctl.bash") as shell:
        yield shell


@contextlib.contextmanager
def bash_with_package(folder):
    """It finds the script by the name of the command."""
    if not os.path.exists(BASH_COMPLETION):
        raise LookupError("bash-completion is not here")
    os.makedirs(f"{folder}/data/completions", exist_ok=True)
    shutil.copy(f"{SCRIPTS}/rlctl.bash", f"{folder}/data/completions/rlctl")
    setup = f"BASH_COMPLETION_USER_DIR={folder}/data; source {BASH_COMPLETION}"
    with at_terminal(folder, ["bash", "--norc", "--noprofile", "-i"], BASH_SETUP + setup) as shell:
        yield shell


@contextlib.contextmanager
def zsh(folder):
    if shutil.which("zsh") is None:
        raise LookupError("zsh is not here")
    with at_terminal(folder, ["zsh", "-f", "-i"], f"fpath=({SCRIPTS} $fpath)" + ZSH_SETUP) as shell:
        yield shell


@contextlib.contextmanager
def at_terminal(folder, command, setup):
    shell = Terminal(folder, command, setup)
    try:
        yield shell
        assert b"rlctl:" not in shell.screen, shell.screen
        assert b"not found" not in shell.screen, shell.screen
    finally:
        shell.close()


def words_of(line, shell="bash"):
    """Returns the words of a line as the shell itself reads them."""
    out = subprocess.run([shell, "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True)
    return out.stdout.decode().split("\0")[:-1]


class Segment:
    def __init__(self):
        self.name = f"test-{os.getpid()}-1"
        self.run("create", self.name, "--keys", "1000", "--clock", "manual")
        self.run("policy", "set", self.name, "api", "100/s burst=200")
        self.run("policy", "set", self.name, "jobs", "5/s")
        for key in [*KEYS.values(), *NEVER, "user:43"]:
            policy = "jobs" if key == "user:43" else "api"
            file = f"{os.environ['HOME']}/key"
            with open(file, "wb") as out:
                out.write(key if isinstance(key, bytes) else key.encode())
            self.run("acquire", self.name, policy, "--key-file", file)

    @staticmethod
    def run(*words):
        subprocess.run([RLCTL, *words], check=True, stdout=subprocess.DEVNULL)


def same(is_, wanted):
    if is_ != wanted:
        raise AssertionError(f"is {is_!r}, wanted {wanted!r}")


def verbs_and_options_and_words(shell, segment):
    same(shell.complete("rlctl expl"), "rlctl explain ")
    same(shell.complete("rlctl policy prom"), "rlctl policy promote ")
    same(shell.complete("rlctl help override uns"), "rlctl help override unset ")
    same(shell.complete("rlctl list web --so"), "rlctl list web --sort ")
    same(shell.complete("rlctl list web --sort den"), "rlctl list web --sort denied ")
    same(shell.complete("rlctl list web --sort=rem"), "rlctl list web --sort=remaining ")
    same(shell.complete("rlctl nosuch x"), "rlctl nosuch x")


def segments_and_policies(shell, segment):
    name = segment.name
    same(shell.complete(f"rlctl show {name[:-1]}"), f"rlctl show {name} ")
    same(shell.complete(f"rlctl show {name} ap"), f"rlctl show {name} api ")
    same(shell.complete(f"rlctl list {name} --policy jo"), f"rlctl list {name} --policy jobs ")
    same(shell.complete("rlctl show nosuchsegment a"), "rlctl show nosuchsegment a")


def keys_arrive_as_they_are(shell, segment, reader="bash"):
    for letter, key in KEYS.items():
        typed = letter if letter != "[" else "\\["
        line = shell.complete(f"rlctl show {segment.name} api {typed}")
        assert line.endswith(" "), (key, line)
        same(words_of(line, reader), ["rlctl", "show", segment.name, "api", key])


def keys_go_on_where_a_shell_breaks_words(shell, segment, reader="bash"):
    for typed, key in {"user:": "user:42", "user:4": "user:42", "2001:db8:": "2001:db8::1",
                       "me@": "me@host=x", "me@host=": "me@host=x", "a\\ b": "a b  c"}.items():
        line = shell.complete(f"rlctl show {segment.name} api {typed}")
        same(words_of(line, reader), ["rlctl", "show", segment.name, "api", key])


def keys_within_quotes(shell, segment, reader="bash"):
    for typed, key in {"'user:": "user:42", '"user:': "user:42", "'a b": "a b  c",
                       '"a b': "a b  c", '"2001:': "2001:db8::1", "'q": 'q"uote',
                       '"it': "it's", "'d": "d$HOME`id`"}.items():
        line = shell.complete(f"rlctl show {segment.name} api {typed}")
        if line.count(typed[0]) % 2:
            line += typed[0]
        same(words_of(line, reader), ["rlctl", "show", segment.name, "api", key])


def what_cannot_be_typed_is_not_offered(shell, segment):
    line = f"rlctl show {segment.name} api n"
    same(shell.complete(line, "\t\t"), line)


def files_are_the_shells(shell, segment):
    home = os.environ["HOME"]
    open(f"{home}/limits.toml", "w", encoding="utf-8").close()
    line = shell.complete(f"rlctl apply {segment.name} {home}/lim")
    same(line, f"rlctl apply {segment.name} {home}/limits.toml ")


AT_TERMINALS = [verbs_and_options_and_words, segments_and_policies, keys_arrive_as_they_are,
                keys_go_on_where_a_shell_breaks_words, keys_within_quotes,
                what_cannot_be_typed_is_not_offered, files_are_the_shells]


def fish_offers(line):
    script = f"source {SCRIPTS}/rlctl.fish; complete -C (cat)"
    out = subprocess.run(["fish", "--no-config", "-c", script], input=line.encode(),
                         capture_output=True, check=True, timeout=DEADLINE_S)
    same(out.stderr, b"")
    return [offer.split("\t")[0] for offer in out.stdout.decode().splitlines()]


def fish_offers_the_same(segment):
    if shutil.which("fish") is None:
        raise LookupError("fish is not here")
    name = segment.name
    same(fish_offers("rlctl expl"), ["explain"])
    same(fish_offers("rlctl policy prom"), ["promote"])
    same(fish_offers("rlctl list web --sort=rem"), ["--sort=remaining"])
    same(fish_offers(f"rlctl show {name[:-1]}"), [name])
    same(fish_offers(f"rlctl show {name} "), ["api", "jobs"])
    same(sorted(fish_offers(f"rlctl show {name} api ")), sorted(KEYS.values()))
    same(fish_offers(f"rlctl show {name} api user:"), ["user:42"])
    same(fish_offers(f"rlctl show {name} api 'a b"), ["a b  c"])
    same(fish_offers(f"rlctl show {name} api n"), [])
    home = os.environ["HOME"]
    open(f"{home}/limits.toml", "w", encoding="utf-8").close()
    same(fish_offers(f"rlctl apply {name} {home}/lim"), [f"{home}/limits.toml"])


def cases(segment, folder):
    for shell in (bash, bash_with_package, zsh):
        for case in AT_TERMINALS:
            def run(shell=shell, case=case):
                with shell(folder) as terminal:
                    reads = "reader" in case.__code__.co_varnames
                    extra = {"reader": "zsh"} if shell is zsh and reads else {}
                    case(terminal, segment, **extra)
            yield f"{shell.__name__}: {case.__name__}", run
    yield "fish: offers_the_same", lambda: fish_offers_the_same(segment)


def main():
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(RLCTL, f"{folder}/rlctl")
        os.environ.update(HOME=folder, PATH=f"{folder}:{os.environ['PATH']}", TERM="xterm",
                          LC_ALL="C.UTF-8", INPUTRC="/dev/null", COLUMNS="200")
        segment = Segment()
        try:
            for name, run in cases(segment, folder):
                try:
                    run()
                except LookupError as reason:
                    print(f"SKIPPED: {name}: {reason}")
                    skipped += 1
                except (AssertionError, subprocess.SubprocessError) as error:
                    print(f"ERROR: {name}: {error}")
                    failed += 1
                else:
                    print(f"holds  {name}")
                    passed += 1
        finally:
            Segment.run("rm", segment.name)
    print(f"test cases: {passed + failed + skipped} | {passed} passed | {failed} failed "
          f"| {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
