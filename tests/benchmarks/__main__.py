"""`python -m tests.benchmarks`, or `make bench`: the core beside its peers, then latency in a real browser."""

from tests.benchmarks import bench_core, bench_latency

bench_core.main()
bench_latency.main()
