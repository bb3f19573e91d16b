"""What the tests of both distributions, the examples and the benchmarks share."""
