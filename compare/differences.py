"""The intended differences between lb and HAProxy. Anything that is not here fails the comparison."""

INTENDED = []
