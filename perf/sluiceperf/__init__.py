"""What perf/run is made of: subjects that carry packets, scenarios that measure them, and the report."""
