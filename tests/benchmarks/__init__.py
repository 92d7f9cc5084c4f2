"""Side-by-side benchmarks of ASGI servers: `python -m tests.benchmarks --help`."""
