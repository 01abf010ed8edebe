//! The same walk on every store.

use flipper_testkit::{ConsulServer, PostgresServer, RedisServer, S3Server};

use crate::support::User;

/// Creates, changes, checks, watches, moves and deletes flags.
fn walk(user: &User) {
    user.done("create X --data owner=search");
    assert_eq!(user.flipper("create X").code, 5);
    user.done("condition add X is_admin=true number__gt=9000");
    user.done("bucket hash X 25% --by user_id");
    user.done("enable X");
    let state = "on if is_admin == true and number > 9000; without these, for 25 % by user_id";
    assert_eq!(user.done("list"), format!("X  {state}\n"));
    assert!(user.done("show X").contains(state));

    assert_eq!(user.flipper("check X is_admin=true number=9001").code, 0);
    assert_eq!(user.flipper("check X is_admin=false").code, 3);
    assert_eq!(user.flipper("check MISSING").code, 4);
    assert!(user.done("explain X user_id=7").contains("score 0.07 <= share 0.25"));
    assert_eq!(user.done("data get X owner"), "search\n");
    assert!(user.done("simulate X --key user_id").contains("26."), "26 of 100 buckets");

    let mut watching = user.started("watch --count 2");
    assert_eq!(watching.note(), "watching 1 flags");
    user.done("disable X");
    assert!(watching.line().ends_with("X: switched off"));
    user.done("create Y");
    assert!(watching.line().ends_with("Y: created, off"));
    assert_eq!(watching.ended(), Some(0));

    let before = user.done("show X --raw");
    assert_eq!(user.done("export flags.jsonl"), "2 flags exported to flags.jsonl\n");
    user.done("copy %s backup.json".replace("%s", user.store()).as_str());
    assert_eq!(user.done(&format!("diff {} backup.json", user.store())), "");
    user.done("destroy X");
    assert_eq!(user.flipper(&format!("diff {} backup.json", user.store())).code, 3);
    assert_eq!(user.done("import flags.jsonl"), "1 created, 0 replaced, 1 there already, 0 failed\n");
    assert_eq!(user.done("show X --raw"), before);

    user.done("enable X");
    let verified = user.flipper("verify").with_code(3).out;
    assert!(verified.contains("X: in Python, for other=1: flipper-client 1.3.2 answers on"), "{verified}");
}

#[test]
fn flags_in_a_file() {
    walk(&User::new());
}

#[test]
fn flags_in_redis() {
    let server = RedisServer::start(&[]);
    walk(&User::at(server.url()));
}

#[test]
fn flags_in_consul() {
    let server = ConsulServer::start(&[]);
    walk(&User::at(format!("consul://{}", server.address())));
}

#[test]
fn flags_in_postgresql() {
    let server = PostgresServer::start(&[]);
    let user = User::at(format!("{}?create_table", server.url()));
    walk(&user);
    let without = User::at(server.url());
    assert!(without.done("list").contains("X  on if"));
}

#[test]
fn flags_in_s3() {
    let server = S3Server::start();
    server.create_bucket("flags");
    let (access, secret) = server.keys();
    let store = format!("s3://flags/prod?endpoint={}&path_style&poll_interval=0.2", server.url());
    let user = User::at(store).with("AWS_ACCESS_KEY_ID", access).with("AWS_SECRET_ACCESS_KEY", secret);
    walk(&user);
}

#[test]
fn flags_behind_thrift_that_this_program_serves() {
    let behind = User::new();
    let mut server = behind.started("serve-thrift --address 127.0.0.1:0 --json");
    let line: serde_json::Value = serde_json::from_str(&server.line()).unwrap();
    let address = line["address"].as_str().unwrap();
    walk(&User::at(format!("thrift://{address}?poll_interval=0.2")));
    assert!(behind.done("list").contains("X  on if"));
    server.signal("-TERM");
    assert_eq!(server.ended(), Some(0));
}

#[test]
fn a_server_that_is_to_be_read_only_lets_nobody_write() {
    let behind = User::new();
    behind.done("create X");
    let mut server = behind.started("serve-thrift --address 127.0.0.1:0 --read-only");
    let line = server.line();
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("thrift://")).unwrap();
    let user = User::at(format!("thrift://{}", address.trim_end_matches([',', ':'])));
    assert_eq!(user.done("list"), "X  off\n");
    let refused = user.flipper("enable X").with_code(1);
    assert!(
        refused.complaint().contains("permission denied") || refused.complaint().contains("read"),
        "{refused:?}"
    );
    assert_eq!(behind.done("list"), "X  off\n");
}
