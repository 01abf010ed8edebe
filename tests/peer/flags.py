"""Uses the installed flipper-client on flags in a store, as it is told.

    python flags.py redis|consul|s3|thrift|postgres PORT PLACE

The place is the base key; of S3, the bucket and the two keys of the client, with spaces between them; of Thrift, `buffered` or `framed`; of PostgreSQL, the table.

Each line of standard input is a JSON list, a verb of the client and its arguments; each line of standard output is what came
of it: {"value": ...} or {"error": "the exception's class"}. Further verbs:

    await_enabled, NAME, ON waits until the flag is there and a check says so, for stores that follow changes in the background
    stored                  what `list` and `get_meta` say of all flags
    edit, NAME, N           N edits of the client data of a flag, as flipper-client makes them
    edit_carefully, NAME, N the same, but each write fails, and is made again, if somebody has written since the read
    list_often, N           lists so often, and says which exceptions were met
    toggle, N               creates, switches, edits and destroys flags of its own
    store, METHOD, ...      a method of the store itself; of items, their names, switches and meta are returned
"""

import json
import sys
import time

from flipper import Condition, FeatureFlagClient
from flipper.bucketing import ConsistentHashPercentageBucketer, LinearRampPercentage, Percentage, PercentageBucketer


class Careful:
    """A connection whose `set` raises WatchError if what `get` has read was changed since."""

    def __init__(self, connection):
        self.pipeline = connection.pipeline()

    def get(self, key):
        self.pipeline.watch(key)
        return self.pipeline.get(key)

    def set(self, key, value):
        self.pipeline.multi()
        self.pipeline.set(key, value)
        self.pipeline.execute()


kind, port, base_key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if kind == "redis":
    import redis
    from flipper.contrib.redis import RedisFeatureFlagStore

    connection = redis.Redis("127.0.0.1", port)
    store = RedisFeatureFlagStore(connection, base_key=base_key)
elif kind == "s3":
    import boto3
    from flipper import S3FeatureFlagStore

    bucket, access_key, secret_key = base_key.split(" ")
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
    s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:%d" % port, region_name="us-east-1", **keys)
    store = S3FeatureFlagStore(s3, bucket)
elif kind == "postgres":
    from flipper.contrib.postgresql import PostgreSQLFeatureFlagStore

    database = "host=127.0.0.1 port=%d user=flipper password=secret dbname=postgres" % port
    store = PostgreSQLFeatureFlagStore(database, table_name=base_key)
elif kind == "thrift":
    from flipper import ThriftRPCFeatureFlagStore
    from flipper_thrift.python.feature_flag_store import FeatureFlagStore
    from thrift.protocol import TBinaryProtocol
    from thrift.transport import TSocket, TTransport

    transport = TSocket.TSocket("127.0.0.1", port)
    transport = (TTransport.TFramedTransport if base_key == "framed" else TTransport.TBufferedTransport)(transport)
    transport.open()
    store = ThriftRPCFeatureFlagStore(FeatureFlagStore.Client(TBinaryProtocol.TBinaryProtocol(transport)))
else:
    import consul
    from flipper.contrib.consul import ConsulFeatureFlagStore

    store = ConsulFeatureFlagStore(consul.Consul("127.0.0.1", port), base_key=base_key)
client = FeatureFlagClient(store)


def bucketer(kind, percentage, keys=()):
    share = LinearRampPercentage(*percentage) if isinstance(percentage, list) else Percentage(percentage)
    return PercentageBucketer(percentage=share) if kind == "percentage" else ConsistentHashPercentageBucketer(percentage=share, key_whitelist=keys)


def await_enabled(name, is_on):
    deadline = time.time() + 20
    # A check alone says "off" of a flag that is not there yet as well.
    while not client.exists(name) or client.is_enabled(name) != is_on:
        assert time.time() < deadline, "not within 20 s"
        time.sleep(0.01)


def edit(name, count):
    for number in range(count):
        client.set_client_data(name, {"python-%d" % number: True})


def edit_carefully(name, count):
    careful = Careful(connection)
    patient = FeatureFlagClient(RedisFeatureFlagStore(careful, base_key=base_key))
    conflicts = 0
    for number in range(count):
        while True:
            try:
                patient.set_client_data(name, {"python-%d" % number: True})
                break
            except redis.WatchError:
                conflicts += 1
    return conflicts


def toggle(count):
    for number in range(count):
        name = "PYTHON-%d" % (number % 7)
        client.create(name, client_data={"number": number})
        client.enable(name)
        client.add_condition(name, Condition(user_id__in=[1, 2, number]))
        client.set_bucketer(name, bucketer("hash", 0.5, ["user_id"]))
        client.disable(name)
        if number % 2:
            client.destroy(name)


def list_often(count):
    met = []
    for _ in range(count):
        try:
            list(client.list())
        except Exception as error:
            met.append(repr(error))
    return met


def plain(answer):
    if hasattr(answer, "serialize"):
        return [answer.feature_name, answer.raw_is_enabled, answer.meta]
    return [plain(item) for item in answer] if hasattr(answer, "__next__") else answer


VERBS = {
    "create": lambda name, on, data: client.create(name, is_enabled=on, client_data=data) and None,
    "enable": client.enable,
    "disable": client.disable,
    "destroy": client.destroy,
    "exists": client.exists,
    "await_enabled": await_enabled,
    "is_enabled": lambda name, keywords: client.is_enabled(name, **keywords),
    "add_condition": lambda name, keywords: client.add_condition(name, Condition(**keywords)),
    "set_bucketer": lambda name, *of: client.set_bucketer(name, bucketer(*of)),
    "set_client_data": client.set_client_data,
    "stored": lambda: {flag.name: client.get_meta(flag.name) for flag in client.list()},
    "list_often": list_often,
    "edit": edit,
    "edit_carefully": edit_carefully,
    "toggle": toggle,
    "store": lambda method, *arguments: plain(getattr(store, method)(*arguments)),
}

for line in sys.stdin:
    verb, *arguments = json.loads(line)
    try:
        answer = {"value": VERBS[verb](*arguments)}
    except Exception as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer), flush=True)
