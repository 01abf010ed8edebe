"""Serves the FeatureFlagStore service from memory, with the classes that Thrift's compiler makes for Python.

    python thrift_server.py buffered|framed [--generated FOLDER] [--die-after N] [--port PORT]

Without `--generated`, it is the published service, as flipper-client has its classes: six methods, flags in parts, kept as they were
sent. With it, the classes are those in FOLDER, of `thrift/feature_flag_store.thrift`, and the server has the additions too: there, flags are
kept as records.

Prints its port, which is a free one unless told. With `--die-after`, it dies in the call after N changes, before it makes that one. It ends when its standard input does.

Each line of standard input plants a flag of the published service's server: a JSON object with the fields of an item, where one that is
left out is not sent, and `conditions` as a list of objects of lists of checks. The line `die` has it die.
"""

import json
import os
import sys
import threading

arguments = sys.argv[1:]
framed = arguments.pop(0) == "framed"
options = dict(zip(arguments[::2], arguments[1::2]))
if "--generated" in options:
    sys.path.insert(0, options["--generated"])

from flipper.contrib.storage import FeatureFlagStoreItem
from flipper.contrib.thrift import ThriftRPCFeatureFlagStore
from flipper_thrift.python.feature_flag_store import FeatureFlagStore, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.server import TServer
from thrift.transport import TSocket, TTransport

NOW = 1_700_000_000
lock = threading.RLock()


class Parts:
    """The published service."""

    def __init__(self):
        self.items = {}
        self.changes_left = int(options.get("--die-after", 1 << 60))

    def change(self):
        if self.changes_left == 0:
            os._exit(1)
        self.changes_left -= 1

    def existing(self, name):
        if name not in self.items:
            raise ttypes.FlipperException(ttypes.ErrorCode.NOT_FOUND, "no such flag: %s" % name)
        return self.items[name]

    def Create(self, feature_name, is_enabled, client_data):
        self.change()
        meta = ttypes.FeatureFlagStoreMeta(created_date=NOW, client_data=client_data)
        item = ttypes.FeatureFlagStoreItem(feature_name, is_enabled, meta)
        self.items[feature_name] = item
        return item

    def Get(self, feature_name):
        return self.existing(feature_name)

    def Set(self, feature_name, is_enabled):
        self.change()
        if feature_name not in self.items:
            self.Create(feature_name, is_enabled, "{}")
        self.items[feature_name].is_enabled = is_enabled

    def Delete(self, feature_name):
        self.change()
        self.items.pop(feature_name, None)

    def List(self, limit, offset):
        items = [self.items[name] for name in sorted(self.items)][offset or 0 :]
        return items if limit is None else items[:limit]

    def SetMeta(self, feature_name, meta):
        self.change()
        self.existing(feature_name).meta = meta

    def plant(self, item):
        name = item["feature_name"]
        meta = item.get("meta")
        if meta is not None:
            conditions = meta.pop("conditions", None)
            meta = ttypes.FeatureFlagStoreMeta(**meta)
            if conditions is not None:
                meta.conditions = [
                    {variable: [self.check(**check) for check in checks] for variable, checks in condition.items()}
                    for condition in conditions
                ]
        with lock:
            self.items[name] = ttypes.FeatureFlagStoreItem(name, item.get("is_enabled"), meta)

    def check(self, operator=None, **fields):
        if operator is not None:
            operator = ttypes.ConditionOperator(**operator)
        return ttypes.ConditionCheck(operator=operator, **fields)


class Records:
    """The service with the additions."""

    def __init__(self):
        self.records = {}
        self.versions = 0
        # What takes items to pieces and puts them together is flipper-client's.
        self.store = ThriftRPCFeatureFlagStore(None, ttypes)

    def existing(self, name):
        if name not in self.records:
            raise ttypes.FlipperException(ttypes.ErrorCode.NOT_FOUND, "no such flag: %s" % name)
        return self.records[name]

    def item(self, name, with_record):
        record, version = self.existing(name)
        if with_record:
            return ttypes.FeatureFlagStoreItem(name, version=version, record=record)
        item = FeatureFlagStoreItem.deserialize(record)
        meta = self.store._convert_meta_to_tmeta(item._meta)
        return ttypes.FeatureFlagStoreItem(name, item.raw_is_enabled, meta)

    def write(self, name, record):
        self.versions += 1
        self.records[name] = (record, b"v%d" % self.versions)
        return self.records[name][1]

    def edit(self, name, edit):
        item = FeatureFlagStoreItem.deserialize(self.existing(name)[0])
        self.write(name, edit(item).serialize())

    def expect(self, name, expect):
        found = self.records.get(name)
        if expect is not None and (
            expect.absent and found or expect.version is not None and (found or (None, None))[1] != expect.version
        ):
            raise ttypes.FlipperException(ttypes.ErrorCode.CONFLICT, "somebody was faster")
        return found

    def Create(self, feature_name, is_enabled, client_data):
        meta = {"client_data": json.loads(client_data), "created_date": NOW}
        record = json.dumps({"feature_name": feature_name, "is_enabled": bool(is_enabled), "meta": meta})
        self.write(feature_name, FeatureFlagStoreItem.deserialize(record.encode("utf-8")).serialize())
        return self.item(feature_name, False)

    def Get(self, feature_name, with_record):
        return self.item(feature_name, with_record)

    def Set(self, feature_name, is_enabled):
        self.edit(feature_name, lambda item: FeatureFlagStoreItem(feature_name, is_enabled, item._meta))

    def Delete(self, feature_name):
        self.records.pop(feature_name, None)

    def List(self, limit, offset, with_record):
        names = sorted(self.records)[offset or 0 :]
        return [self.item(name, with_record) for name in (names if limit is None else names[:limit])]

    def SetMeta(self, feature_name, meta):
        meta = self.store._convert_tmeta_to_meta(meta)
        self.edit(feature_name, lambda item: FeatureFlagStoreItem(feature_name, item.raw_is_enabled, meta))

    def Put(self, feature_name, record, expect):
        self.expect(feature_name, expect)
        return self.write(feature_name, record)

    def Remove(self, feature_name, expect):
        if feature_name not in self.records:
            return False
        self.expect(feature_name, expect)
        del self.records[feature_name]
        return True

    def Describe(self):
        return ttypes.Description(True, True, False)


class Locked:
    """One call after the other."""

    def __init__(self, handler):
        self.handler = handler

    def __getattr__(self, name):
        method = getattr(self.handler, name)

        def locked(*arguments):
            with lock:
                return method(*arguments)

        return locked


handler = Records() if "--generated" in options else Parts()
socket = TSocket.TServerSocket("127.0.0.1", int(options.get("--port", 0)))
socket.listen()
transports = TTransport.TFramedTransportFactory() if framed else TTransport.TBufferedTransportFactory()
server = TServer.TThreadedServer(
    FeatureFlagStore.Processor(Locked(handler)), socket, transports, TBinaryProtocol.TBinaryProtocolFactory(), daemon=True
)
# It has been listened on, to know the port: `serve` does that once more.
socket.listen = lambda: None
print(socket.handle.getsockname()[1], flush=True)
threading.Thread(target=server.serve, daemon=True).start()
for line in sys.stdin:
    if line.strip() == "die":
        os._exit(1)
    handler.plant(json.loads(line))
    print("planted", flush=True)
os._exit(0)
