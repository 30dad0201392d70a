"""What is printed: the table of cases, the differences, or the bare facts."""

import re
from collections import Counter

# Differences shown of one case, unless all are asked for.
MOST_DIFFERENCES = 12
MOST_KINDS = 20


def show_record(case, record):
    """Every fact of one case, heads as they went over the wire, log lines whole."""
    print(f"## {case.name}  [{case.configuration.name}]")
    for label, value in record.facts.items():
        if label.startswith("log "):
            continue
        if label.endswith(" line"):
            print(f"  {label.removesuffix(' line')}:\n      {shown(value)}")
        elif label.endswith(" headers"):
            print("".join(f"      {shown(line)}\n" for line in value.split("\r\n") if line), end="")
        elif label.endswith(" body") and value:
            print(f"      <body> {shown(value)}")
        elif value or not label.endswith(" body"):
            print(f"  {label}: {shown(value)}")
    for line in record.log:
        print(f"  log: {line}")
    print()


def show_table(cases, records, verdicts, again, verbose, seconds):
    """Prints a row a case, then what differs; gives back how many cases failed."""
    width = max(len(case.name) for case in cases)
    print(f"{'case':{width}}  {'configuration':22} fields  differences")
    failed = 0
    for case in cases:
        verdict = verdicts[case.name]
        listed = sum(len(labels) for _, labels in verdict.intended)
        note = f"  ({listed} intended: {', '.join(name for name, _ in verdict.intended)})" if listed else ""
        counts = f"{verdict.compared:6}  {len(verdict.differences):11}"
        print(f"{case.name:{width}}  {case.configuration.name:22} {counts}{note}")
        failed += bool(verdict.differences)
    for case in cases:
        verdict = verdicts[case.name]
        if verdict.differences:
            print(f"\n{case.name} [{case.configuration.name}]")
            show_differences(verdict.differences, verbose)
        if verbose:
            print()
            for proxy, record in records[case.name].items():
                print(f"# {proxy}")
                show_record(case, record)
    show_kinds(verdicts)
    for name, labels in again.items():
        print(f"\nagreed only when run again: {name} ({', '.join(labels[:6])})")
    fields = sum(verdict.compared for verdict in verdicts.values())
    print(f"\n{fields} fields compared in {len(cases)} cases, {seconds:.0f} s")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return failed


def show_kinds(verdicts):
    """In how many cases each kind of fact differs: one cause may lie behind many cases."""
    kinds = Counter()
    for verdict in verdicts.values():
        kinds.update({re.sub(r"\s#?\d+(?=\s|$)", "", label) for label, _, _ in verdict.differences})
    if kinds:
        print("\nwhat differs, and in how many cases:")
    for kind, count in kinds.most_common(MOST_KINDS):
        print(f"  {count:5}  {kind}")


def show_differences(differences, verbose):
    """The ones that explain the others first; of very many only the beginning."""
    first = [difference for difference in differences if difference[0].startswith("the ")]
    rest = [difference for difference in differences if difference not in first]
    if any(label == "the proxy did not start" for label, _, _ in first):
        rest = []
    most = len(rest) if verbose else MOST_DIFFERENCES
    for difference in first + rest[:most]:
        show_difference(*difference)
    if rest[most:]:
        print(f"  and {len(rest) - most} more")


def show_difference(label, left, right):
    print(f"  {label}")
    for name, value in (("haproxy", left), ("lb", right)):
        text = "(absent)" if value is None else shown(value)
        print(f"    {name:8}{text}")


def shown(value):
    text = value.encode("unicode_escape").decode("ascii")
    return text if len(text) < 600 else f"{text[:400]} ... {text[-100:]} ({len(value)} characters)"
