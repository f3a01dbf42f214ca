"""Prints the temperature of a boiler once a second, as one JSON object per line."""

import json
import random
import time

temperature = 60.0
while True:
    temperature += random.uniform(-1, 1)
    print(json.dumps({"temperature": temperature, "unit": "°C"}), flush=True)
    time.sleep(1)
