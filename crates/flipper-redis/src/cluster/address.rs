//! Where a server of a cluster is.

use std::fmt;

use redis::ConnectionAddr;

/// A host or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Address {
    /// What the driver was told; `None` for a socket of this machine.
    pub(crate) fn of(driver: &ConnectionAddr) -> Option<Self> {
        match driver {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Some(Self { host: host.as_str().into(), port: *port })
            }
            _ => None,
        }
    }

    /// What this server says of another one: without a host, it is the one of this server.
    pub(crate) fn says(&self, host: &str, port: u16) -> Self {
        Self { host: if host.is_empty() { self.host.clone() } else { host.into() }, port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
