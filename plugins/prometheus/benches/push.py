"""Delfin's own Prometheus exporter on the batch of the benchmark.

Reads the batch from a file, one series per line, and prints the seconds that the
exporter takes to write it.
"""
import json
import sys
import tempfile
import time
from collections import namedtuple

from oslo_config import cfg

from delfin.exporter.prometheus import prometheus

Metric = namedtuple("Metric", "name labels values")

batch = []
with open(sys.argv[1]) as lines:
    for line in lines:
        name, labels, values = json.loads(line)
        batch.append(Metric(name, labels, {int(at): value for at, value in values.items()}))

with tempfile.TemporaryDirectory() as folder:
    cfg.CONF.set_override("metrics_dir", folder, "PROMETHEUS_EXPORTER")
    start = time.perf_counter()
    prometheus.PrometheusExporter().push_to_prometheus(batch)
    print(time.perf_counter() - start)
