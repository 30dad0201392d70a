"""Runs the policy in plain Python, on the bindings that componentize-py writes for editors."""

import unittest

import app
from componentize_py_types import Err
from wit_world.exports.balancer import Arrival, Candidate
from wit_world.exports.setup import Value_Integer
from wit_world.imports.types import IpAddress_Ipv4, Server


def configure(begin=8, end=20, offset=0, labels=((), ())):
    settings = [("begin", begin), ("end", end), ("offset", offset)]
    servers = [Server(f"s{i}", "192.0.2.1:80", 1, None, list(pairs)) for i, pairs in enumerate(labels)]
    app.Setup().configure([(name, Value_Integer(value)) for name, value in settings], servers)


def shares(hour, picks=8):
    """How often each of two candidates is picked at this hour, UTC."""
    client = IpAddress_Ipv4((192, 0, 2, 7))
    picked = [app.Balancer().pick(Arrival(i, hour * app.HOUR_MS, client, None)) for i in range(picks)]
    return picked.count(0), picked.count(1)


class Hours(unittest.TestCase):
    def test_the_day_has_other_weights_than_the_night(self):
        configure(labels=([("day_weight", "3")], [("night_weight", "0")]))
        app.Balancer().update([Candidate(0, 1), Candidate(1, 1)])
        self.assertEqual(shares(12), (6, 2))
        self.assertEqual(shares(7), (8, 0))
        self.assertEqual(shares(20), (8, 0))

    def test_the_offset_moves_the_day(self):
        configure(offset=5, labels=([("day_weight", "0")], []))
        app.Balancer().update([Candidate(0, 1), Candidate(1, 1)])
        self.assertEqual(shares(3), (0, 8))
        self.assertEqual(shares(16), (4, 4))

    def test_passes_where_nobody_has_a_weight(self):
        configure(labels=([("night_weight", "0")], [("night_weight", "0")]))
        app.Balancer().update([Candidate(0, 1), Candidate(1, 1)])
        self.assertEqual(shares(1), (0, 0))

    def test_turns_are_spread_out(self):
        turns = app.Turns([2, 0, 1, 1])
        self.assertEqual([turns.whose(number) for number in range(4)], [0, 3, 2, 0])
        many = app.Turns([256] * 1000)
        self.assertEqual({many.whose(number) for number in range(4000)}, set(range(1000)))

    def test_refuses_what_cannot_be(self):
        for wrong in {"begin": 20}, {"offset": 15}, {"labels": ([("day_weight", "much")], [])}:
            with self.assertRaises(Err):
                configure(**wrong)


if __name__ == "__main__":
    unittest.main()
