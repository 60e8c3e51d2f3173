#!/usr/bin/env python3
"""Puts what the benchmarks measured into the pages: no figure in them is typed by hand.

usage: bench/figures.py [--results FOLDER] [--pages FOLDER]

Reads the JSON of FOLDER (bench/results) and writes, between the lines <!-- bench:NAME --> and
<!-- /bench --> of README.md and bench/README.md, what NAME stands for: the tables of a program, or
one of the names of SPECIAL below. After NAME may stand "rows", for only these, or how the title of a
table begins, for that one. What has no results stays as it is. Charts go beside the JSON.
--pages says where the pages lie, for a trial on copies.
"""

import argparse
import json
import os
import re
import sys
import textwrap

sys.dont_write_bytecode = True  # the folder of the sources stays as it is
import charts  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGES = ["README.md", "bench/README.md"]
BLOCK = re.compile(r"(<!-- bench:([a-z_]+)(?: ([^\n]*?))? -->\n)(.*?)(<!-- /bench -->)", re.S)
HOT, MANY, TWO = "one hot key", "1,000,000 keys", "2 processes, one key"
CHARTS = {"hot_key": HOT, "million_keys": MANY, "two_processes": TWO}


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
    parts = [race(result), *grids(result), *[f"{cell(note.rstrip('.'))}.\n" for note in result["notes"]],
             disturbance(result)]
    return "\n".join(part for part in parts if part)


def machine_line(results):
    """Says where all of it was measured: of one that was run elsewhere, too."""
    machines = sorted({f"{m['cpu']}, {m['cores']} CPUs, {m['kernel']}; {m['compiler']}, {m['build_type']}"
                       for m in (r["machine"] for r in results.values())})
    commits = sorted({r["machine"]["commit"] for r in results.values()})
    days = sorted({r["day"] for r in results.values() if "day" in r})
    return "; ".join([*machines, f"commit {', '.join(commits)}", *[" and ".join(days)][: len(days)]])


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
    columns = [HOT, MANY, TWO]
    found, names = {}, []
    for column in columns:
        for ours, row in peer_rows(results, column):
            found[row["contender"], column] = times_ours(ours, row)
            if row["contender"] not in names:
                names.append(row["contender"])
    lines = [["librl", *[c for column in columns
                         for c in (median_of(results["peers"], column, "librl"), "")]]]
    for name in names:
        lines.append([name, *[c for column in columns for c in found.get((name, column), ("", ""))]])
    head = ["what a decision takes, ns"]
    for column in columns:
        head += [column, "x librl"]
    notes = [cell(note) for note in results["servers"]["notes"] if ": skipped, " in note]
    return ("\n".join([table(head, lines).replace("| --- | --- |", "| --- | --: |", 1),
                       "![one hot key: librl, its floor and its peers](bench/results/hot_key.svg)\n",
                       *[f"{note}.\n" for note in notes]]))


def named(result, row, contender):
    """Returns what somebody scored; {} where it was not measured."""
    return next((r for r in group_of(result, row) if r["contender"] == contender), {})


def median_of(result, row, contender):
    found = named(result, row, contender)
    return short(found["median"]) if found else "?"


def cost(results):
    """The paragraph of the README on what a decision costs."""
    if "decisions" not in results or "processes" not in results:
        return None
    decisions, processes = results["decisions"], results["processes"]
    hot, many = "one hot key, allowed", MANY + " at random"
    boost = "Boost map, one mutex"

    def beside(row, other):
        ours, found = named(decisions, row, "librl"), named(decisions, row, other)
        return f"{short(found['median'])} ({ratio(ours, found)} x that)" if ours and found else "?"

    others = [f"{median_of(decisions, f'{hot}, {name}', 'librl')} for a {text}" for name, text in
              (("leaky", "leaky bucket"), ("window", "fixed window"), ("sliding", "sliding one"))]
    together, locked = named(processes, TWO, "librl"), named(processes, TWO, boost)
    crowd = ratio(together, locked) if together and locked else "?"
    text = (f"**What a decision costs.** One process, one hot key, clock and all: "
            f"{median_of(decisions, hot, 'librl')} ns where a loop of nothing but the same clock, hash, line and "
            f"compare-and-swap takes {beside(hot, 'floor')}, and a Boost.Interprocess map behind a mutex "
            f"{median_of(decisions, hot, boost)}; {', '.join(others)}. One that is denied: "
            f"{median_of(decisions, 'one hot key, denied', 'librl')} ns, where such a loop without the "
            f"compare-and-swap takes {beside('one hot key, denied', 'floor without CAS')}. One of a million keys at "
            f"random: {median_of(decisions, many, 'librl')} ns, and the loop {beside(many, 'floor')}. Two "
            f"processes on one key make {crowd} times the decisions of two on that mutex. The programs of "
            f"bench/ measured it (medians of {len(named(decisions, hot, 'librl').get('samples', []))} "
            "interleaved rounds; `tools/bench` runs them) on "
            f"{cell(machine_line(results))}; the tables, and what they mean, are in "
            "[bench/README.md](bench/README.md).")
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def pictures(results):
    """The charts, as they stand beside bench/README.md."""
    shown = [name for name, what in CHARTS.items()
             if group_of(results.get("peers", {"rows": []}), what)]
    return "\n".join(f"![{CHARTS[name]}: librl, its floor and its peers](results/{name}.svg)\n"
                     for name in shown) or None


# Who asks, and what of librl; then what is there today. Each is (program, row, contender).
LANGUAGES = [
    ("C++", ("decisions", "one hot key, allowed", "librl"),
     [("decisions", "one hot key, allowed", "Boost map, one mutex")]),
    ("C", ("decisions", "one hot key, C ABI", "librl, from C"),
     [("peers", HOT, "robust mutex, one bucket")]),
    ("Python", ("servers", f"{HOT}: Python limits", "librl for Python"),
     [("servers", f"{HOT}: Python limits", "in its memory"),
      ("servers", f"{HOT}: Python limits", "in Redis")]),
    ("Python, limits with its storage shm://", ("servers", f"{HOT}: Python limits", "in librl"),
     [("servers", f"{HOT}: Python limits", "in its memory"),
      ("servers", f"{HOT}: Python limits", "in Redis")]),
    ("nginx, a request more", ("servers", f"{HOT}: nginx with librl", "rl_limit, added"),
     [("servers", f"{HOT}: nginx", "limit_req, added")]),
    ("the same, 1,000,000 clients", ("servers", f"{MANY}: nginx with librl", "rl_limit, added"),
     [("servers", f"{MANY}: nginx", "limit_req, added")]),
]


def languages(results):
    """The table of what a decision adds in each language, beside what its users have today."""
    rows = []
    for who, ours, others in LANGUAGES:
        first, *rest = [named(results.get(where, {"rows": []}), row, contender)
                        for where, row, contender in (ours, *others)]
        for row in [first, *rest] if first else []:
            if row:
                rows.append([who if row is first else "", row["contender"],
                             *[figure(row[k]) for k in ("median", "min", "max")],
                             "" if row is first else ratio(first, row)])
    return table(["who asks", "what", "median", "min", "max", "librl / this"], rows) if rows else None


SPECIAL = {"cost": cost, "languages": languages, "machine": machine, "pictures": pictures,
           "peers_summary": peers_summary}


def block(name, part, results):
    """Returns what stands between the marks, or None if there is nothing to put there."""
    if name in SPECIAL:
        return SPECIAL[name](results) if results else None
    if name not in results:
        return None
    if part == "rows":
        return race(results[name]) or None
    if part:
        chosen = [grid for grid in results[name]["grids"] if grid["title"].startswith(part)]
        return "\n".join(grids({"grids": chosen})) or None
    return program(results[name])


def filled(text, results, known):
    def one(match):
        if match[2] not in known:
            raise ValueError(f"<!-- bench:{match[2]} -->: nothing measures that")
        inside = block(match[2], match[3], results)
        return match[0] if inside is None else f"{match[1]}\n{inside}\n{match[5]}"

    return BLOCK.sub(one, text)


def draw(results, folder):
    for name, what in CHARTS.items():
        ours = group_of(results.get("peers", {"rows": []}), what)[:2]
        if ours:
            rows = [*ours, *[row for _, row in peer_rows(results, what)]]
            with open(os.path.join(folder, name + ".svg"), "w", encoding="utf-8") as file:
                file.write(charts.bars(f"{what}: ns a decision, on a logarithmic scale",
                                       machine_line(results), rows))


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
        try:
            after = filled(before, results, {*programs(), *SPECIAL})
        except ValueError as reason:
            sys.exit(f"{page}: {reason}")
        if after != before:
            with open(path, "w", encoding="utf-8") as file:
                file.write(after)
    draw(results, args.results)


if __name__ == "__main__":
    main()
