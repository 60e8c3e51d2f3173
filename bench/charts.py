"""Draws bars as SVG: plain, readable on white and on black, and of nothing but text and rectangles."""

import math
from xml.sax.saxutils import escape

WIDTH, LABELS, FIGURES, LINE, HEAD = 860, 250, 130, 26, 46
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #3d444d; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11px; }
  .grid { stroke: #8b949e; stroke-opacity: 0.35; }
  .range { stroke: #6e7781; stroke-width: 1.5; }
  .ours { fill: #2f81f7; }
  .floor { fill: #57ab5a; }
  .peer { fill: #a68a64; }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } .range { stroke: #c9d1d9; } }
"""


def kind(name):
    return "ours" if name == "librl" else "floor" if name == "floor" else "peer"


def shown(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def bars(title, footer, rows):
    """Returns a chart: a bar for each median on a logarithmic scale, and a line from min to max."""
    seen = [v for row in rows for v in (row["median"], row["min"], row["max"]) if v > 0]
    low = math.floor(math.log10(min(seen)))
    high = max(math.ceil(math.log10(max(seen))), low + 1)
    room = WIDTH - LABELS - FIGURES

    def x(value):
        at = min(max(math.log10(value) if value > 0 else low, low), high)
        return LABELS + room * (at - low) / (high - low)

    bottom = HEAD + LINE * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 44}" role="img">',
           f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<text class="title" x="0" y="18">{escape(title)}</text>']
    for power in range(low, high + 1):
        at = x(10.0**power)
        out.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{HEAD - 10}" y2="{bottom}"/>')
        label = f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"
        out.append(f'<text class="small" text-anchor="middle" x="{at:.1f}" y="{bottom + 14}">{label}</text>')
    for i, row in enumerate(rows):
        y = HEAD + LINE * i
        middle = y + LINE / 2 - 4
        drowned = row["min"] <= 0
        figure = "in the noise" if drowned else shown(row["median"])
        out.append(f'<text text-anchor="end" x="{LABELS - 8}" y="{middle + 4:.1f}">{escape(row["contender"])}</text>')
        if not drowned:
            out.append(f'<rect class="{kind(row["contender"])}" x="{LABELS}" y="{y}" '
                       f'width="{x(row["median"]) - LABELS:.1f}" height="{LINE - 8}" rx="2"/>')
            out.append(f'<line class="range" x1="{x(row["min"]):.1f}" x2="{x(row["max"]):.1f}" '
                       f'y1="{middle:.1f}" y2="{middle:.1f}"/>')
        end = LABELS if drowned else x(row["max"])
        out.append(f'<text x="{end + 8:.1f}" y="{middle + 4:.1f}">{figure}</text>')
    out.append(f'<text class="small" x="0" y="{bottom + 36}">{escape(footer)}</text>')
    return "\n".join([*out, "</svg>\n"])
