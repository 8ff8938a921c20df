"""Delfin's own Prometheus exporter on the batch of the benchmark beside it.

Prints the seconds of each round: the exporter writes its file once a round.
"""
import random
import sys
import tempfile
import time
from collections import namedtuple

from oslo_config import cfg

from delfin.exporter.prometheus import prometheus

Metric = namedtuple("Metric", "name labels values")
SERIES, POINTS, ROUNDS = (int(argument) for argument in sys.argv[1:4])

batch = []
for index in range(SERIES):
    labels = {
        "storage_id": "0d0a1f6e-2f0b-5c1e-9a55-6a2b6c6f2d10",
        "name": "sample",
        "serial_number": "SN-0001",
        "resource_type": "volume",
        "resource_id": "volume_%d" % (index // 15),
        "type": "RAW",
        "unit": "IOPS",
        "value_type": "gauge",
    }
    values = {
        1700000000000 + 60000 * point: random.uniform(1, 100)
        for point in range(POINTS)
    }
    batch.append(Metric("readIops%d" % (index % 15), labels, values))

with tempfile.TemporaryDirectory() as folder:
    cfg.CONF.set_override("metrics_dir", folder, "PROMETHEUS_EXPORTER")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        prometheus.PrometheusExporter().push_to_prometheus(batch)
        print(time.perf_counter() - start)
