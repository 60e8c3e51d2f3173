#!/usr/bin/env python3
"""Runs the benchmarks one after the other and keeps what they measured, with what else went on.

usage: bench/run.py [--build FOLDER] [--results FOLDER] [--quick | --deep] [--only NAME]...

Of each program NAME.json is written to the results, with the day and `noise`: which share of the
CPUs' time others took while it ran, and which was lent elsewhere by the host. One that fails or takes
ten minutes is named and leaves its older results as they were. Exit code: 0 all ran, 1 not.
"""

import argparse
import glob
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE_S = 600
# What has rows that take gigabytes of memory, for --deep.
DEEP = ("batch", "decisions")


def cpu_ticks():
    """Returns ticks of all CPUs: all of them, those at work, and those that were lent elsewhere."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, idle, wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    busy = user + nice + system + irq + soft
    return busy + idle + wait + steal, busy, steal


def own_ticks():
    """Returns ticks of what we started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * os.sysconf("SC_CLK_TCK")


def end(child):
    """Ends a program by its id, kindly first: it removes what it made."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def run(command):
    """Runs it; returns what went wrong, or None, and the noise meanwhile."""
    own, (total, busy, stolen) = own_ticks(), cpu_ticks()
    child = subprocess.Popen(command)
    try:
        code = child.wait(PATIENCE_S)
        trouble = None if code == 0 else f"exit code {code}"
    except subprocess.TimeoutExpired:
        trouble = f"not done after {PATIENCE_S} s"
    finally:
        end(child)
    own, (new_total, new_busy, new_stolen) = own_ticks() - own, cpu_ticks()
    passed = max(new_total - total, 1)
    return trouble, {"others": round(max(new_busy - busy - own, 0) / passed, 4),
                     "stolen": round((new_stolen - stolen) / passed, 4)}


def commands(build):
    """Returns what there is to run, by its name."""
    found = {os.path.basename(path)[len("bench_"):]: [path]
             for path in sorted(glob.glob(os.path.join(build, "bench", "bench_*")))
             if os.access(path, os.X_OK) and os.path.isfile(path)}
    rlctl = os.path.join(build, "tools", "rlctl")
    if os.path.exists(rlctl):
        found["replay"] = [os.path.join(ROOT, "bench", "replay"), rlctl]
    return found


def keep(made, path, noise, machine):
    """Puts the results where they belong; returns the machine that they were made on."""
    with open(made, encoding="utf-8") as file:
        result = json.load(file)
    result = {**result, "machine": result.get("machine", machine), "noise": noise,
              "day": time.strftime("%Y-%m-%d", time.gmtime())}
    with open(made, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    with open(made, "rb") as source, open(path + ".new", "wb") as target:
        target.write(source.read())
    os.replace(path + ".new", path)
    return result["machine"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--results", default=os.path.join(ROOT, "bench/results"))
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--quick", action="store_true", help="only see that they run")
    how_long.add_argument("--deep", action="store_true", help="with 16,000,000 keys, too")
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be repeated")
    args = parser.parse_args()
    # A signal ends the program that runs, too, by way of `finally`.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda which, _: sys.exit(128 + which))
    all_of_them = commands(args.build)
    unknown = set(args.only or []) - {*all_of_them}
    if unknown or not all_of_them:
        sys.exit(f"bench/run.py: no {', '.join(sorted(unknown)) or 'program'} in {args.build}; there are: "
                 f"{', '.join(all_of_them)}")
    os.makedirs(args.results, exist_ok=True)
    failed, machine, began = [], None, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rl-bench-") as folder:
        for name, command in all_of_them.items():
            if args.only and name not in args.only:
                continue
            print(f"--- {name}", flush=True)
            made = os.path.join(folder, name + ".json")
            more = ["--quick"] * args.quick + ["--deep"] * (args.deep and name in DEEP)
            trouble, noise = run([*command, "--json", made, *more])
            if trouble:
                print(f"--- FAILED: {name}: {trouble}", file=sys.stderr, flush=True)
                failed.append(name)
                continue
            print(f"others took {noise['others']:.1%} of the CPUs; {noise['stolen']:.1%} were lent "
                  "elsewhere\n", flush=True)
            machine = keep(made, os.path.join(args.results, name + ".json"), noise, machine)
    print(f"in {time.monotonic() - began:.0f} s, to {args.results}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
