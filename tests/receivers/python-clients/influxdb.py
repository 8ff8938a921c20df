"""Writes points by the client of InfluxDB, one after another, and prints each value that was acknowledged.

usage: influxdb.py LIBRARIES URL TOKEN COUNT
"""

import sys

sys.path.insert(0, sys.argv[1])

import time

from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS

client = InfluxDBClient(url=sys.argv[2], token=sys.argv[3], org="delfin", enable_gzip=True, timeout=5000)
api = client.write_api(write_options=SYNCHRONOUS)
for number in range(int(sys.argv[4])):
    point = Point("diskio").tag("host", "influx-host").tag("name", "sd a").field("sent", number)
    point.field("comment", "a text").time(1_700_000_000_000 + number, WritePrecision.MS)
    while True:
        try:
            api.write(bucket="disks", record=point, write_precision=WritePrecision.MS)
            break
        except Exception:
            time.sleep(0.05)
    print(number, flush=True)
