"""One module a figure: ``python -m benchmarks.<name> --json [--quick]`` prints one JSON object."""
