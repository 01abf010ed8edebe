//! What the guide shows beside Rust, and what it shows of the examples.

use std::process::Command;

use flipper_core::{Context, FeatureFlagClient};
use flipper_memory::MemoryStore;
use flipper_thrift::ThriftServer;

const WRITING_A_STORE: &str = include_str!("../../crates/flipper/src/guide/writing_a_store.md");
const CUSTOM_STORE: &str = include_str!("../../examples/custom_store.rs");
const THRIFT_SERVICE: &str = include_str!("../../crates/flipper/src/guide/thrift_service.md");

#[test]
fn the_store_of_the_guide_is_the_one_that_the_suite_runs_on() {
    let (_, code) = CUSTOM_STORE.split_once("\n\n").unwrap();
    let (code, _) = code.split_once("\n#[cfg(test)]").unwrap();
    assert!(
        WRITING_A_STORE.contains(code),
        "writing_a_store.md has other code than examples/custom_store.rs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_of_the_guide_reaches_our_server() {
    let (_, script) = THRIFT_SERVICE.split_once("```python\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let flags = FeatureFlagClient::new(MemoryStore::new());
    let server = ThriftServer::new(flags.clone()).address("127.0.0.1:0").start().await.unwrap();
    let script = script.replace("9090", &server.local_address().port().to_string());
    let script = format!("{script}\nclient.create('FROM_PYTHON', is_enabled=True)\n");
    for release in ["1.2.3", "1.3.2"] {
        let mut python = Command::new(crate::peer::python(release));
        let run = python.args(["-c", &script]);
        let output = tokio::task::block_in_place(|| run.output()).unwrap();
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(flags.is_enabled("FROM_PYTHON", &Context::EMPTY).await);
        flags.destroy("FROM_PYTHON").await.unwrap();
    }
}
