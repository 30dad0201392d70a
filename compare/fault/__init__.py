"""Faults under load: what clients see of them behind lb and behind HAProxy."""
