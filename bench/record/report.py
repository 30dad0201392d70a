"""The report of a run: a table for people, in Markdown, and a chart, from the samples and from nothing else."""

import json
from statistics import median, quantiles

from .cases import all_cases
from .machine import write_json
from .peers import LB

COLOURS = {"lb": "#2563eb", "lb-pgo": "#93c5fd", "haproxy": "#737373", "nginx": "#16a34a", "envoy": "#c026d3"}


def read(directory):
    return json.loads((directory / "samples.json").read_text())


def write(directory, result):
    write_json(directory / "samples.json", result)
    (directory / "table.md").write_text(table(result))
    (directory / "chart.svg").write_text(chart(result))


def by_case(result):
    """Samples by case and peer, in the order of the cases."""
    found = {}
    for sample in result["samples"]:
        found.setdefault(sample["case"], {}).setdefault(sample["peer"], []).append(sample)
    return found


def ratios(samples, peer, to, field):
    """One peer's figure by another's, of the same round each."""
    if peer not in samples or to not in samples:
        return []
    others = {sample["round"]: sample[field] for sample in samples[to]}
    return [s[field] / others[s["round"]] for s in samples[peer] if others.get(s["round"])]


def spread(values, digits):
    """The median, and how far the values went."""
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def quartiles(values):
    """The median, and the quartiles around it."""
    if len(values) < 2:
        return spread(values, 0)
    first, middle, third = quantiles(values, method="inclusive")
    return f"{middle:.0f} ({first:.0f}–{third:.0f})"


def grid(head, rows):
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def table(result):
    parts = [
        f"# lb beside its peers, {result['date']}\n",
        ", ".join(f"{key} {value}" for key, value in result["machine"].items()) + ".\n",
        "\n".join(f"- {name}: {version}" for name, version in result["versions"].items()) + "\n",
    ]
    for name, why in result["absent"].items():
        parts.append(f"**{name} took no part**: {why}\n")
    parts.append(
        f"{result['rounds']} rounds in turns, {result['seconds']} s a sample. Medians, and in brackets the least and the "
        "most; ratios are of samples of the same round. CPU is the proxy's own.\n"
    )
    stolen = [sample["stolen_percent"] for sample in result["samples"] if "stolen_percent" in sample]
    if stolen:
        parts.append(f"The hypervisor took {spread(stolen, 1)} % of the cores' time during a sample (`steal` in `/proc/stat`).\n")
    parts += [throughput(result), costs(result)]
    for part in (latency, memory, policies):
        text = part(result)
        if text:
            parts.append(text)
    return "\n".join(parts)


def builds(result):
    """Which builds of lb took part."""
    return [name for name in LB if name in result["versions"]]


def costs(result):
    cases, rows = {case.name: case for case in all_cases()}, []
    ours = builds(result)
    for name, samples in by_case(result).items():
        case = cases[name]
        row = [case.title]
        for peer in result["versions"]:
            row.append(spread([s["cpu_us"] for s in samples.get(peer, [])], 1))
        for one in ours:
            ratio = ratios(samples, one, "haproxy", "cpu_us")
            row += [spread(ratio, 2), "" if not ratio else "yes" if median(ratio) <= case.goal else "no"]
        rows.append([*row, f"{case.goal:.2f}"])
    head = ["case", *result["versions"], *(word for one in ours for word in (f"{one} : haproxy", "held")), "at most"]
    return "## CPU, µs per request\n\n" + grid(head, rows)


def throughput(result):
    cases, rows = {case.name: case for case in all_cases()}, []
    ours = builds(result)
    for name, samples in by_case(result).items():
        row = [cases[name].title]
        row += [spread([s["per_second"] for s in samples.get(peer, [])], 0) for peer in result["versions"]]
        others = {p: median(s["per_second"] for s in samples[p]) for p in samples if p not in LB}
        fastest = max(others, key=others.get, default=None)
        row += [f"{spread(ratios(samples, one, fastest, 'per_second'), 2)} {fastest or ''}" for one in ours]
        memory = max((s["most_memory_kb"] for s in samples.get("lb", [])), default=0)
        rows.append([*row, f"{memory / 1024:.1f}"])
    head = ["case", *result["versions"], *(f"{one} : the fastest peer" for one in ours), "lb's memory at most, MB"]
    return "## Requests per second, one core\n\n" + grid(head, rows)


def latency(result):
    found = result.get("latency")
    if not found:
        return ""
    rows, head = [], ["peer", "p50", "p99", "p99.9"]
    said = (
        f"## Times at {found[0]['rate']} requests a second, µs\n\nOpen loop at half of what HAProxy can do, in the default "
        "configuration (nginx: without cookies); a request's time runs from when it was due."
    )
    windowed = "windows" in found[0]
    if windowed:
        head += ["p50 while calm", "p99 while calm", "calm"]
        said += (
            " Calm are the tenths of a second in which, as in the one before, the hypervisor took nothing of the cores: the "
            "median of their percentiles, and in brackets the quartiles."
        )
    for peer in result["versions"]:
        samples = [sample for sample in found if sample["peer"] == peer]
        if not samples:
            continue
        row = [peer, *(spread([s[field] for s in samples], 0) for field in ("p50", "p99", "p999"))]
        if windowed:
            calm = [window for sample in samples for window in sample["calm"]]
            row += [quartiles([window[index] for window in calm]) for index in (0, 1)]
            row.append(f"{len(calm)} of {sum(sample['windows'] for sample in samples)}")
        rows.append(row)
    return said + "\n\n" + grid(head, rows)


def memory(result):
    rows = [
        [
            row["peer"],
            f"{row['start_kb'] / 1024:.1f}",
            f"{row['idle_connection_kb']:.1f}",
            f"{row['active_connection_kb']:.1f}",
            f"{row['after_1m_kb'] / 1024:.1f}" if "after_1m_kb" in row else "",
            f"{row['after_10m_kb'] / 1024:.1f}" if "after_10m_kb" in row else "",
        ]
        for row in result.get("memory", [])
    ]
    head = [
        "peer", "at the start, MB", "an idle connection, KB", "one that waits for an answer, KB",
        "after 1 million requests, MB", "after 10 million, MB",
    ]
    return "## Resident memory\n\n" + grid(head, rows) if rows else ""


def policies(result):
    found = {}
    for row in result.get("policies", []):
        found.setdefault((row["call"], row["policy"]), {})[row["servers"]] = row["median_ns"]
    if not found:
        return ""
    counts = sorted({row["servers"] for row in result["policies"]})
    rows = [
        [call, policy, *(f"{by_count[count]:,.0f}" if count in by_count else "" for count in counts)]
        for (call, policy), by_count in sorted(found.items())
    ]
    return "## A policy's call alone, ns\n\n" + grid(["call", "policy", *(f"{c} servers" for c in counts)], rows)


def chart(result):
    """CPU per request by HAProxy's: a bar a peer, a group a case, cut off where a bar would run off the page."""
    groups = []
    titles = {case.name: case.title for case in all_cases()}
    for name, samples in by_case(result).items():
        bars = [(p, median(r)) for p in result["versions"] if (r := ratios(samples, p, "haproxy", "cpu_us"))]
        groups.append((titles[name], bars))
    left, scale, most, bar = 300, 200, 3.0, 11
    height = 70 + sum(bar * len(bars) + 12 for _, bars in groups)
    width = int(left + scale * most + 70)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        '<text x="12" y="22" font-size="14">CPU per request, by HAProxy\'s in the same round (less is better)</text>',
    ]
    for number, (peer, version) in enumerate(result["versions"].items()):
        x = left + 110 * number
        out.append(f'<rect x="{x}" y="34" width="10" height="10" fill="{COLOURS[peer]}"/><text x="{x + 15}" y="43">{peer}</text>')
    y = 58
    for title, bars in groups:
        out.append(f'<text x="{left - 8}" y="{y + bar * len(bars) / 2 + 4}" text-anchor="end">{title}</text>')
        for peer, ratio in bars:
            length = scale * min(ratio, most)
            out.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{bar - 2}" fill="{COLOURS[peer]}"/>')
            out.append(f'<text x="{left + length + 4:.1f}" y="{y + bar - 3}" font-size="9">{ratio:.2f}</text>')
            y += bar
        y += 12
    out.append(f'<path d="M{left + scale} 50V{height - 12}" stroke="#737373" stroke-dasharray="3 3"/></svg>')
    return "\n".join(out) + "\n"
