#!/usr/bin/env python3
"""Passes packets between two tun devices, each packet a constant time after it came: what netem's delay
would do. Started by netns.py, which opens the devices in the two network namespaces."""
import collections
import os
import select
import sys
import time

LARGEST_PACKET = 1 << 16


def relay(one, other, delay_s):
    """Runs until one of the descriptors breaks."""
    opposite = {one: other, other: one}
    waiting = collections.deque()  # (due, device, packet); in order of due, for the delay is constant
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select((one, other), (), (), timeout)
        now = time.monotonic()
        for device in ready:
            packet = os.read(device, LARGEST_PACKET)
            waiting.append((now + delay_s, opposite[device], packet))
        while waiting and waiting[0][0] <= now:
            _, device, packet = waiting.popleft()
            os.write(device, packet)


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
