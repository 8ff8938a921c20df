"""Sends a gauge by the OpenTelemetry SDK, again and again, and prints each value that was acknowledged.

usage: otlp.py LIBRARIES URL COUNT
"""

import sys

sys.path.insert(0, sys.argv[1])

import logging
import time

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource

logging.disable(logging.CRITICAL)
reader = InMemoryMetricReader()
resource = Resource.create({"host.name": "otlp-host", "service.name": "sender"})
meter = MeterProvider([reader], resource=resource).get_meter("delfin")
gauge = meter.create_gauge("system.disk.sent", unit="By")
histogram = meter.create_histogram("duration", unit="s")
exporter = OTLPMetricExporter(sys.argv[2] + "/v1/metrics", compression=Compression.Gzip, timeout=2)
for number in range(int(sys.argv[3])):
    gauge.set(number, {"system.device": "sda"})
    histogram.record(number)
    data = reader.get_metrics_data()
    while exporter.export(data) is not MetricExportResult.SUCCESS:
        time.sleep(0.05)
    print(number, flush=True)
