"""Run the benchmark that `make benchmark` stands for."""

from tests.benchmarks.throughput import main

main()
