"""The other side of benchmarks, where it needs a process of its own."""
