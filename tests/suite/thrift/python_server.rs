//! A server of the service that is written in Python.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

/// Serves from memory. It is killed when this is dropped.
pub(crate) struct PythonServer {
    process: Child,
    lines: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl PythonServer {
    /// The published service.
    pub(crate) fn parts(transport: &str) -> Self {
        Self::start(&[transport])
    }

    /// The published service; it dies in the call after so many changes.
    pub(crate) fn dies_after(changes: usize) -> Self {
        Self::start(&["buffered", "--die-after", &changes.to_string()])
    }

    /// The published service, at an address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self::start(&["buffered", "--port", &address.port().to_string()])
    }

    /// The service of `thrift/feature_flag_store.thrift`.
    pub(crate) fn records(transport: &str) -> Self {
        let generated = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/peers/thrift");
        Self::start(&[transport, "--generated", generated])
    }

    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(crate::peer::python("1.3.2"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peer/thrift_server.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let address = ([127, 0, 0, 1], port.trim().parse().expect("a port")).into();
        Self { process, lines, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an item there as it is.
    pub(crate) fn plant(&mut self, item: &Json) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{item}").unwrap();
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "planted");
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
