/**
 * FeatureFlagStore: feature flags behind a service.
 *
 * Whoever implements the six methods of the published service (`Create` to `SetMeta`) serves flipper-client's
 * `ThriftRPCFeatureFlagStore`, of Python, and flipper's `ThriftStore`, of Rust. What is marked as an addition is flipper's: peers that do not
 * know it pass over it, and a server may leave it out.
 *
 * The protocol is Thrift's binary protocol; the transport is buffered (flipper-client's documentation uses it) or framed. JSON travels as
 * text, in the dialect of Python's `json` module: bare `NaN` and `Infinity`, and integers of any size.
 *
 * Fields are neither `required` nor `optional` unless it says so: a writer sends them all, and a reader has to bear that one is missing.
 */

namespace py flipper_thrift.python.feature_flag_store

/** What went wrong. A server of the published service knows the first one alone. */
enum ErrorCode {
  /** There is no flag of that name. */
  NOT_FOUND = 0

  // Additions, for all that can be told apart. A peer that does not know a code takes it for an error of the server's own.

  /** There is a flag of that name already. */
  ALREADY_EXISTS = 1
  /** An expectation did not hold: nothing has changed. */
  CONFLICT = 2
  /** The server's own store has not answered a write: it may have happened. */
  OUTCOME_UNKNOWN = 3
  /** A write was made, and fewer copies have confirmed it than were asked for. */
  NOT_REPLICATED = 4
  /** What was asked makes no sense: an illegal name, JSON that is none. */
  INVALID_INPUT = 5
  /** The record that is stored cannot be read. `version` tells its state. */
  CORRUPT = 6
  /** The server's own store cannot be asked at present: nothing has changed. */
  UNAVAILABLE = 7
  /** The server is read-only, a handler has vetoed the change, or its own store has refused it. */
  PERMISSION_DENIED = 8
  /** Neither the server nor its store can do that. */
  UNSUPPORTED = 9
  /** A defect of the server. */
  INTERNAL = 10
}

exception FlipperException {
  1: ErrorCode code
  /** For people. */
  2: string message = ""
  /** Addition: with CORRUPT, the state of the record that cannot be read, so that it can be replaced or removed. */
  3: optional binary version
}

/** How a check compares. */
struct ConditionOperator {
  /** `ne`, `gt`, `gte`, `lt`, `lte`, `in` or `not_in`. Left out, it is equality: the struct is there all the same, and empty. */
  1: string symbol
}

/** One comparison: an attribute of the caller's with a value. */
struct ConditionCheck {
  /** The attribute. */
  1: string variable
  /** What it is compared with, as JSON. */
  2: string value
  /** Never left out. */
  3: ConditionOperator operator
}

/** What belongs to a flag besides its name and its switch. */
struct FeatureFlagStoreMeta {
  /** When the flag was created, in seconds since 1970. */
  1: i64 created_date
  /** What applications keep with the flag: a JSON object. Left out, it is `{}`. */
  2: string client_data
  /**
   * All of them have to hold. Each has its checks by their attribute; a peer keeps the order of the map, in which they are made.
   * Left out, there are none.
   */
  3: list<map<string, list<ConditionCheck>>> conditions
  /** Who gets the flag where no condition decides, as JSON: `{"type": "NoOpBucketer"}`, and others. Left out, it is that one. Never `null`. */
  4: string bucketer
}

/** A flag. */
struct FeatureFlagStoreItem {
  1: string feature_name
  /** Left out, it counts as true. */
  2: bool is_enabled
  /** Left out only next to `record` or `problem`. */
  3: FeatureFlagStoreMeta meta

  // Additions, for those who have asked by `with_record`.

  /**
   * The state of the record, to be passed back as it is. Empty, it stands for the bytes of `record`, with the byte `b` before them, which is what
   * is passed back then.
   */
  4: optional binary version
  /** The record as it is stored: JSON, with all that writers of newer releases have put into it. */
  5: optional binary record
  /** In a listing, why the record cannot be read. */
  6: optional FlipperException problem
}

/** Addition: what has to be there for a write to happen. Left out, or empty: anything. */
struct Expectation {
  /** Nothing, if true. */
  1: optional bool absent
  /** The state with this version. */
  2: optional binary version
}

/** Addition: what a server can do. */
struct Description {
  /** Whether `Put` looks and writes in one step, so that no write of anybody can come in between. */
  1: bool puts_atomically
  /** The same of `Remove`. */
  2: bool removes_atomically
  /** Whether nobody may change anything here. */
  3: bool read_only
  /** The longest message that the server takes, in bytes. */
  4: optional i64 max_message
}

service FeatureFlagStore {
  /**
   * Creates a flag without conditions and bucketer, or replaces the one that is there by such a one; and returns it.
   * `is_enabled` left out counts as true, as in items; `client_data` left out is `{}`.
   */
  FeatureFlagStoreItem Create(1: string feature_name, 2: bool is_enabled, 3: string client_data) throws (1: FlipperException error)

  /**
   * Returns a flag; NOT_FOUND if there is none.
   * Addition: with `with_record`, the item has `version` and `record`, and need not have `meta`.
   */
  FeatureFlagStoreItem Get(1: string feature_name, 2: bool with_record) throws (1: FlipperException error)

  /** Switches a flag on or off. What becomes of one that is not there is left to the server: flipper's creates it if it is to be off. */
  void Set(1: string feature_name, 2: bool is_enabled) throws (1: FlipperException error)

  /** Deletes a flag. That there is none is no error. */
  void Delete(1: string feature_name) throws (1: FlipperException error)

  /**
   * Returns flags, in any order that stays the same: at most `limit`, all if that is left out, after passing over `offset`.
   * Addition: `with_record`, as in `Get`; then records that cannot be read are returned too, with `problem`. They count in limit and offset in
   * any case.
   */
  list<FeatureFlagStoreItem> List(1: i64 limit, 2: i64 offset, 3: bool with_record) throws (1: FlipperException error)

  /** Replaces what belongs to a flag besides its switch; NOT_FOUND if there is none. */
  void SetMeta(1: string feature_name, 2: FeatureFlagStoreMeta meta) throws (1: FlipperException error)

  /** Addition: stores a record as it is if the expectation holds, and returns its version; CONFLICT if it does not. */
  binary Put(1: string feature_name, 2: binary record, 3: Expectation expect) throws (1: FlipperException error)

  /**
   * Addition: deletes a flag if the expectation holds, and returns whether there was one. CONFLICT if there is one in another state; that there is
   * none is no conflict.
   */
  bool Remove(1: string feature_name, 2: Expectation expect) throws (1: FlipperException error)

  /** Addition: returns what the server can do. */
  Description Describe()
}
