#!/usr/bin/env python3
"""Puts what the benchmarks measured into the pages: no figure in them is typed by hand.

usage: bench/figures.py [--results FOLDER] [--pages FOLDER]

Reads the JSON of FOLDER (bench/results) and writes, between the lines <!-- bench:NAME --> and
<!-- /bench --> of README.md and bench/README.md, what NAME stands for: the tables of a program, or
one of the names of SPECIAL below. What has no results stays as it is. Charts go beside the JSON.
--pages says where the pages lie, for a trial on copies.
"""

import argparse
import json
import os
import re
import sys

import charts

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md", "bench/README.md"]
BLOCK = re.compile(r"(<!-- bench:([a-z_]+) -->\n)(.*?)(<!-- /bench -->)", re.S)
HOT, MANY = "one hot key", "1,000,000 keys"


def load(folder):
    """Returns what each program wrote, by its name."""
    results = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if name.endswith(".json"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                results[name[: -len(".json")]] = json.load(file)
    return results


def groups(result):
    """Yields the contenders of each row, the one in question first."""
    group = []
    for row in result["rows"]:
        if group and group[0]["row"] != row["row"]:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def group_of(result, row):
    return next((g for g in groups(result) if g[0]["row"] == row), [])


def cell(text):
    """Keeps a text from meaning anything to Markdown."""
    text = str(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return re.sub(r"([*_`\[\]])", r"\\\1", text).replace("\n", " ")


def figure(value):
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"


def short(value):
    """Three digits, as nobody compares more of them."""
    if abs(value) >= 1000:
        step = 10 ** (len(str(int(abs(value)))) - 3)
        return f"{round(value / step) * step:,}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(columns, rows):
    rule = ["---", "---", *["--:"] * len(columns)][: len(columns)]
    lines = [columns, rule, *[[cell(c) for c in row] for row in rows]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def ratio(first, other):
    if other["median"] <= 0:
        return ""
    share = first["median"] / other["median"]
    return f"{share:.2f}" if share >= 0.1 else f"{share:.2g}"


def race(result):
    """The table of a program's rows."""
    with_goals = any("goal" in row for row in result["rows"])
    columns = ["row", "what", "median", "min", "max", "ours / this", *["goal"] * with_goals]
    rows = []
    for group in groups(result):
        for row in group:
            first = row is group[0]
            goal = "" if "goal" not in row else row["goal"] + ("" if row["goal_met"] else ", missed")
            rows.append([row["row"] if first else "", row["contender"],
                         *[figure(row[k]) for k in ("median", "min", "max")],
                         "" if first else ratio(group[0], row), *[goal] * with_goals])
    return f"({cell(result['unit'])})\n\n{table(columns, rows)}" if rows else ""


def grids(result):
    for grid in result["grids"]:
        yield f"{cell(grid['title'])}\n\n{table(grid['columns'], grid['rows'])}"


def disturbance(result):
    """Says who else took CPU time while it ran, where that was measured."""
    noise = result.get("noise")
    if noise is None:
        return ""
    return (f"While it ran, others took {noise['others']:.1%} of the CPUs, and {noise['stolen']:.1%} "
            "were lent elsewhere.\n")


def program(result):
    parts = [race(result), *grids(result), *[f"{cell(note)}.\n" for note in result["notes"]],
             disturbance(result)]
    return "\n".join(part for part in parts if part)


def machine_line(results):
    machine = next(iter(results.values()))["machine"]
    commits = sorted({r["machine"]["commit"] for r in results.values()})
    days = sorted({r["day"] for r in results.values() if "day" in r})
    return (f"{machine['cpu']}, {machine['cores']} CPUs, {machine['kernel']}; {machine['compiler']}, "
            f"{machine['build_type']}, commit {', '.join(commits)}{'; ' if days else ''}"
            f"{' and '.join(days)}")


def machine(results):
    # That the load is high is what a program says of those that ran before it.
    warnings = {w for r in results.values() for w in r["machine"]["warnings"] if "load" not in w}
    return f"Measured on {cell(machine_line(results))}.\n" + "".join(
        f"\nWarning: {cell(w)}.\n" for w in sorted(warnings))


def peer_rows(results, what):
    """Yields (librl's row, a peer's row, with its name in front) of all peers, on such keys."""
    for name in ("peers", "servers"):
        for group in groups(results.get(name, {"rows": []})):
            if group[0]["row"] == what or group[0]["row"].startswith(what + ": "):
                for row in group[1:]:
                    if row["contender"] not in ("floor", "a bare request"):
                        peer = row["row"].partition(": ")[2]
                        named = f"{peer}: {row['contender']}" if peer else row["contender"]
                        yield group[0], {**row, "contender": named}


def times_ours(ours, row):
    """A figure and how many times ours it is. What is added to a request may drown in it."""
    if row["min"] <= 0:
        return "in the noise", ""
    return short(row["median"]), short(row["median"] / ours["median"]) + " x"


def peers_summary(results):
    if "peers" not in results or "servers" not in results:
        return None
    columns = [HOT, MANY, "2 processes, one key"]
    found, names = {}, []
    for column in columns:
        for ours, row in peer_rows(results, column):
            found[row["contender"], column] = times_ours(ours, row)
            if row["contender"] not in names:
                names.append(row["contender"])
    lines = [["librl", *[c for column in columns
                         for c in (short(group_of(results["peers"], column)[0]["median"]), "")]]]
    for name in names:
        lines.append([name, *[c for column in columns for c in found.get((name, column), ("", ""))]])
    head = ["what a decision takes, ns"]
    for column in columns:
        head += [column, "x librl"]
    notes = [cell(note) for note in results["servers"]["notes"] if "skipped" in note]
    return ("\n".join([table(head, lines).replace("| --- | --- |", "| --- | --: |", 1),
                       "![one hot key: librl, its floor and its peers](bench/results/hot_key.svg)\n",
                       *[f"{note}.\n" for note in notes]]))


def cost(results):
    if "decisions" not in results:
        return None
    ours, floor = group_of(results["decisions"], "one hot key, allowed")[:2]
    denied, look = group_of(results["decisions"], "one hot key, denied")[:2]
    text = (f"One process, one hot key, clock and all: {short(ours['median'])} ns where a loop of nothing but "
            f"the same clock, hash, line\nand compare-and-swap takes {short(floor['median'])} "
            f"({ratio(ours, floor)} x that floor); denied {short(denied['median'])} ns, where the loop "
            f"without the\ncompare-and-swap takes {short(look['median'])} ({ratio(denied, look)} x).")
    many = group_of(results["decisions"], MANY + " at random")
    if many:
        text += (f"\nA key of a million at random: {short(many[0]['median'])} ns, "
                 f"{ratio(many[0], many[1])} x the floor.")
    return text + f"\nOn {cell(machine_line(results))}.\n"


SPECIAL = {"cost": cost, "machine": machine, "peers_summary": peers_summary}


def block(name, results):
    """Returns what stands between the marks, or None if there is nothing to put there."""
    if name in SPECIAL:
        return SPECIAL[name](results) if results else None
    return program(results[name]) if name in results else None


def filled(text, results, known):
    def one(match):
        if match[2] not in known:
            raise ValueError(f"<!-- bench:{match[2]} -->: nothing measures that")
        inside = block(match[2], results)
        return match[0] if inside is None else f"{match[1]}\n{inside}\n{match[4]}"

    return BLOCK.sub(one, text)


def draw(results, folder):
    footer = machine_line(results)
    for name, what, unit in (("hot_key", HOT, "ns"), ("million_keys", MANY, "ns"),
                             ("two_processes", "2 processes, one key", "ns")):
        rows = [row for _, row in peer_rows(results, what)]
        ours = group_of(results.get("peers", {"rows": []}), what)[:2]
        if not ours:
            continue
        svg = charts.bars(f"A decision on {what}, {unit} (a logarithmic scale)", footer, [*ours, *rows])
        with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as file:
            file.write(svg)


def programs():
    """Names of all that can be measured: each has its block, or may have."""
    with open(os.path.join(ROOT, "bench/meson.build"), encoding="utf-8") as file:
        build = file.read()
    named = re.findall(r"^  '([a-z_]+)': \[", build, flags=re.M)
    return {*named, *re.findall(r"'bench_([a-z]+)'", build), "list", "replay"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default=os.path.join(ROOT, "bench/results"))
    parser.add_argument("--pages", default=ROOT)
    args = parser.parse_args()
    results = load(args.results)
    if not results:
        sys.exit(f"{args.results} has no results: run tools/bench")
    for page in PAGES:
        path = os.path.join(args.pages, page)
        with open(path, encoding="utf-8") as file:
            before = file.read()
        after = filled(before, results, {*programs(), *SPECIAL})
        if after != before:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
    draw(results, args.results)


if __name__ == "__main__":
    main()
