"""Asks the installed flipper-client what it makes of flags.

Each line of standard input is a JSON object:

    item    a stored flag, as text
    kwargs  the keyword arguments of a check, as text
    now_us  the time, in microseconds since the epoch
    random  the number that a percentage bucketer draws

Each line of standard output is an object with what flipper-client answered:

    load_error  the exception that reading the flag raised; or
    rewritten   what it stores after reading the flag
    meta        what get_meta returns, as text
    value       what is_enabled returns, or
    error       the exception that it raised

Time is frozen and in UTC.
"""

import datetime
import json
import os
import sys
import time

os.environ["TZ"] = "UTC"
time.tzset()

from flipper.bucketing import percentage_bucketer
from flipper.bucketing.percentage import linear_ramp_percentage
from flipper.contrib.storage import FeatureFlagStoreItem


class Frozen(datetime.datetime):
    current = None

    @classmethod
    def now(cls, tz=None):
        return cls.current


EPOCH = Frozen(1970, 1, 1)
linear_ramp_percentage.datetime = Frozen


def answer(case):
    Frozen.current = EPOCH + datetime.timedelta(microseconds=case["now_us"])
    percentage_bucketer.PercentageBucketer.check.__defaults__ = (lambda: case["random"],)
    try:
        item = FeatureFlagStoreItem.deserialize(case["item"].encode("utf-8"))
        rewritten = item.serialize().decode("ascii")
        # Before the check: checking adds empty lists to the conditions in memory.
        meta = json.dumps(item.meta)
    except Exception as error:
        return {"load_error": type(error).__name__}
    answered = {"rewritten": rewritten, "meta": meta}
    try:
        answered["value"] = item.is_enabled(**json.loads(case["kwargs"]))
    except Exception as error:
        answered["error"] = type(error).__name__
    return answered


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))))
