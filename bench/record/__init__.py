"""The benchmark of record: peers, cases, measurement, report."""
