"""Runs the policy in plain Python, on the bindings that componentize-py writes for editors."""

import unittest

import app
from componentize_py_types import Err
from wit_world.exports.balancer import Arrival, Candidate
from wit_world.exports.setup import Value_Integer
from wit_world.imports.types import IpAddress_Ipv4


def pick(sequence):
    return app.Balancer().pick(Arrival(sequence, 0, IpAddress_Ipv4((192, 0, 2, 7)), None))


class Turns(unittest.TestCase):
    def test_takes_the_candidates_in_turn(self):
        app.Setup().configure([("first", Value_Integer(1))], [])
        app.Balancer().update([Candidate(server, 1) for server in range(3)])
        self.assertEqual([pick(sequence) for sequence in range(4)], [1, 2, 0, 1])

    def test_refuses_a_negative_first(self):
        with self.assertRaises(Err) as refused:
            app.Setup().configure([("first", Value_Integer(-1))], [])
        self.assertEqual(refused.exception.value.setting, "first")


if __name__ == "__main__":
    unittest.main()
