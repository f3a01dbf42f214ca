"""Fits a line to noisy points and sends the loss of each epoch to the batch "loss"."""

import random
import time
from urllib.request import urlopen

URL = "http://localhost:8000/batches/loss/points"

points = [(x / 100, 3 * x / 100 + random.gauss(0, 0.1)) for x in range(100)]
slope = 0.0
for _ in range(100):
    loss = sum((slope * x - y) ** 2 for x, y in points) / len(points)
    urlopen(URL, data=str(loss).encode(), timeout=30).close()
    slope -= 0.1 * sum(2 * x * (slope * x - y) for x, y in points) / len(points)
    time.sleep(0.1)  # A real model takes longer.
