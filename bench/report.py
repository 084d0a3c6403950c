"""What the bench prints and writes: medians, the table, the flat JSON object. No clock, no process, no file."""

import statistics

# name, what the table calls it, the driver's arguments
WORKLOADS = (
    ("noop", "no-op RPC (GetSystemInfo)", ()),
    ("start", "start", ()),
    ("signal", "signal", ()),
    ("start_complete", "start → complete", ()),
    ("one_activity", "start → activity → complete", ()),
    ("one_activity_alone", "  the same, one at a time", ("--in-flight", "1")),
    ("three_activities", "start → 3 activities → complete, one at a time", ("--in-flight", "1")),
    ("parked_polls", "10,000 parked polls", ()),
)
# RPCs that one unit makes: what it would cost at the price of a no-op is the least the door can take.
CALLS = {
    "noop": 1,
    "start": 1,
    "signal": 1,
    "start_complete": 4,
    "one_activity": 8,
    "one_activity_alone": 8,
    "three_activities": 16,
}

COLUMNS = (  # key, heading, format
    ("per_s", "per s", "{:,.0f}"),
    ("cpu_us", "server CPU µs", "{:,.0f}"),
    ("p50_ms", "p50 ms", "{:,.2f}"),
    ("p99_ms", "p99 ms", "{:,.2f}"),
    ("fsyncs", "fsyncs", "{:.3f}"),
    ("log_bytes", "log bytes", "{:,.0f}"),
    ("wakes", "wakes", "{:.2f}"),
    ("rss_mib", "RSS MiB", "{:,.0f}"),
    ("server_cpu_percent", "server CPU %", "{:.0f}"),
    ("driver_cpu_percent", "driver CPU %", "{:.0f}"),
)


def median_of(runs):
    """One dictionary of medians from dictionaries of figures; a key that no run has a number for is None."""
    keys = dict.fromkeys(key for run in runs for key in run)
    out = {}
    for key in keys:
        values = [run[key] for run in runs if run.get(key) is not None]
        if values and all(isinstance(value, (int, float)) for value in values):
            out[key] = statistics.median(values)
        elif values and all(isinstance(value, dict) for value in values):
            out[key] = median_of(values)
        else:
            out[key] = None
    return out


def cell(figures, key, form):
    value = figures.get(key)
    return "-" if value is None else form.format(value)


def aligned(rows):
    """Text lines of the rows: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            text.rjust(width) if i else text.ljust(width) for i, (text, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    ]


def table(medians):
    """The lines of one server's table; `medians`: figures by workload name."""
    rows = [["", *(heading for _, heading, _ in COLUMNS)]]
    for name, title, _ in WORKLOADS:
        if name in medians:
            rows.append([title, *(cell(medians[name], key, form) for key, _, form in COLUMNS)])
    return aligned(rows)


def ratios(ours, theirs):
    """The lines that compare two servers: how many times more per second, less CPU, and shorter waits."""

    def times(numerator, denominator):
        return "-" if not numerator or not denominator else f"{numerator / denominator:,.1f}×"

    rows = [["", "more per s", "less CPU", "shorter p50", "shorter p99", "less RSS"]]
    for name, title, _ in WORKLOADS:
        if name in ours and name in theirs:
            a, b = ours[name], theirs[name]
            rows.append(
                [
                    title,
                    times(a.get("per_s"), b.get("per_s")),
                    *(times(b.get(key), a.get(key)) for key in ("cpu_us", "p50_ms", "p99_ms", "rss_mib")),
                ]
            )
    return aligned(rows)


def notes(medians):
    """What a reader should know about the figures: shares, the least the door takes, and anything that went wrong."""
    lines = []
    noop = medians.get("noop", {})
    if noop.get("per_s") and "start" in medians:
        lines.append(f"start runs at {100 * medians['start']['per_s'] / noop['per_s']:.0f} % of the no-op rate")
    for name in ("start_complete", "one_activity"):
        if noop.get("cpu_us") and name in medians:
            calls = CALLS[name]
            lines.append(
                f"{name}: {medians[name]['cpu_us']:,.0f} µs, of which {calls} calls at the price of a no-op are "
                f"{calls * noop['cpu_us']:,.0f} µs"
            )
    threads = medians.get("one_activity", {}).get("cpu_us_by_thread") or {}
    dear = sorted(((cpu or 0, thread) for thread, cpu in threads.items()), reverse=True)[:6]
    if dear:
        lines.append("one_activity by thread: " + ", ".join(f"{thread} {cpu:,.0f} µs" for cpu, thread in dear))
    parked = medians.get("parked_polls")
    if parked:
        lines.append(
            f"a parked poll takes {parked['kib_per_poll']:.1f} KiB; idle with them: {parked['idle_cpu_percent']:.1f} % of a "
            "core; its p50 and p99 are a no-op beside them"
        )
    for name, figures in medians.items():
        if figures.get("unfinished"):
            lines.append(
                f"{name}: {figures['unfinished']:.0f} workflows had not ended 15 s after the last start"
            )
        if figures.get("worker_errors"):
            lines.append(f"{name}: {figures['worker_errors']:.0f} calls of the worker failed")
        if (figures.get("driver_cpu_percent") or 0) > 95:
            lines.append(f"{name}: the driver was the limit, not the server")
    busy = [figures["other_cpu_percent"] for figures in medians.values() if figures.get("other_cpu_percent")]
    if busy and max(busy) > 10:
        lines.append(f"the machine was not quiet: other programs took up to {max(busy):.0f} % of a core")
    return lines


def recovery_lines(recovery):
    """What the start after a kill took, with many open workflows."""
    return [
        f"killed under load with {recovery['workflows']:,.0f} open workflows and as many queued tasks, page cache "
        f"{'dropped' if recovery['cache_dropped'] else 'kept'}: first answer {recovery['first_answer_ms']:,.0f} ms "
        f"after exec, first workflow read {recovery['first_read_ms']:,.0f} ms",
        f"started at {recovery['fill_per_s']:,.0f} per s; {recovery['data_mib']:,.0f} MiB on disk at the kill; "
        f"{recovery['rss_mib']:,.0f} MiB resident after the first read",
    ]


def flat(medians, start, prefix=""):
    """The JSON object: `medians` by workload name, `start` the figures of starting (idle_rss_mib, first_answer_ms)."""
    out = {}
    for name, _, _ in WORKLOADS:
        if name not in medians:
            continue
        figures = medians[name]
        if name == "parked_polls":
            for key in ("rss_mib", "cpu_us", "per_s", "kib_per_poll", "idle_cpu_percent"):
                out[f"parked_polls_10000_{key}"] = figures.get(key)
            continue
        for key in ("per_s", "cpu_us", "p50_ms", "p99_ms", "rss_mib"):
            out[f"{name}_{key}"] = figures.get(key)
        out[f"fsyncs_per_{name}"] = figures.get("fsyncs")
        out[f"log_bytes_per_{name}"] = figures.get("log_bytes")
        out[f"wakes_per_{name}"] = figures.get("wakes")
    out.update(start)
    return {prefix + key: round(value, 4) if isinstance(value, float) else value for key, value in out.items()}
