"""perf/run: subjects that carry packets, scenarios that measure them, and the report."""
