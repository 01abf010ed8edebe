//! What addresses begin with, and what each of them knows.

/// What is known of a scheme. To add one to a store that is here takes one line below.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) store: Kind,
    /// The feature of this crate without which there is no such store, or none by this scheme.
    pub(crate) feature: &'static str,
    pub(crate) is_built_in: bool,
    /// Parameters that are handed on to the store, which reads them itself.
    pub(crate) passed: &'static [&'static str],
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    File,
    Redis,
    Consul,
    Postgres,
    S3,
    Thrift,
}

macro_rules! scheme {
    ($name:literal, $store:ident, $feature:literal, $passed:expr) => {
        Scheme {
            name: $name,
            store: Kind::$store,
            feature: $feature,
            is_built_in: cfg!(feature = $feature),
            passed: $passed,
        }
    };
}

const SCHEMES: &[Scheme] = &[
    scheme!("memory", Memory, "memory", &[]),
    scheme!("file", File, "file", &[]),
    scheme!("redis", Redis, "redis", &[]),
    scheme!("rediss", Redis, "redis", &[]),
    scheme!("valkey", Redis, "redis", &[]),
    scheme!("valkeys", Redis, "redis", &[]),
    scheme!("redis-cluster", Redis, "cluster", &[]),
    scheme!("rediss-cluster", Redis, "cluster", &[]),
    scheme!("redis-sentinel", Redis, "redis", SENTINEL),
    scheme!("rediss-sentinel", Redis, "redis", SENTINEL),
    scheme!("unix", Redis, "redis", &["db", "user", "pass"]),
    scheme!("consul", Consul, "consul", &[]),
    scheme!("consul+https", Consul, "consul", &[]),
    scheme!("postgres", Postgres, "postgres", LIBPQ),
    scheme!("postgresql", Postgres, "postgres", LIBPQ),
    scheme!("s3", S3, "aws-config", &[]),
    scheme!("thrift", Thrift, "thrift", &["transport"]),
];

/// Who asks the sentinels.
const SENTINEL: &[&str] = &["sentinel_user", "sentinel_pass"];

/// What PostgreSQL's own addresses have. Their `connect_timeout` is ours.
const LIBPQ: &[&str] = &[
    "sslmode",
    "sslnegotiation",
    "application_name",
    "options",
    "target_session_attrs",
    "load_balance_hosts",
    "channel_binding",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "tcp_user_timeout",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
];

/// Parameters of stores that say who asks. They are shown nowhere.
const SECRETS: &[&str] = &["user", "pass", "password", "sentinel_user", "sentinel_pass"];

impl Scheme {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        SCHEMES.iter().find(|scheme| scheme.name == name)
    }

    /// All of them, for messages.
    pub(crate) fn all() -> String {
        listed(SCHEMES.iter().map(|scheme| format!("{}:", scheme.name)))
    }

    /// All parameters that an address with this scheme can have.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let all = [self.store.own(), self.passed, self.store.around()];
        all.into_iter().flatten().copied()
    }

    /// Whether anybody may see the value of a parameter.
    pub(crate) fn shows(&self, parameter: &str) -> bool {
        self.parameters().any(|known| known == parameter) && !SECRETS.contains(&parameter)
    }
}

impl Kind {
    /// Whether the store has all flags in memory by itself.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Memory | Self::File | Self::Consul)
    }

    /// The parameters that become settings of the store.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &[],
            Self::File => &["require_file", "timeout", "poll_interval", "poll_only"],
            Self::Redis => &[
                "base_key",
                "timeout",
                "connect_timeout",
                "poll_interval",
                "poll_only",
                "replicas",
                "replica_timeout",
            ],
            Self::Consul => &[
                "base_key",
                "timeout",
                "connect_timeout",
                "datacenter",
                "namespace",
                "partition",
                "consistency",
                "start_timeout",
                "last_known_good",
            ],
            Self::Postgres => &[
                "table",
                "schema",
                "create_table",
                "timeout",
                "connect_timeout",
                "poll_interval",
                "connections",
                "behind_pooler",
            ],
            Self::S3 => &[
                "base_key",
                "prefix",
                "region",
                "endpoint",
                "path_style",
                "profile",
                "timeout",
                "connect_timeout",
                "poll_interval",
            ],
            Self::Thrift => &["prefix", "timeout", "connect_timeout", "poll_interval", "connections"],
        }
    }

    /// The parameters that are about what stands around the store.
    fn around(self) -> &'static [&'static str] {
        match self {
            Self::Memory | Self::File | Self::Consul => &["mirror", "cache", "ttl"],
            _ => &["mirror", "last_known_good", "start_timeout", "cache", "ttl"],
        }
    }
}

/// `a`, `b`, `c`.
pub(crate) fn listed(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let quoted: Vec<_> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameter::Parameter;

    #[test]
    fn each_parameter_is_read_by_somebody_and_named_once() {
        for scheme in SCHEMES {
            let mut all: Vec<_> = scheme.parameters().collect();
            for name in &all {
                assert_ne!(
                    scheme.passed.contains(name),
                    Parameter::find(name).is_some(),
                    "{}: {name}",
                    scheme.name
                );
            }
            all.sort_unstable();
            let count = all.len();
            all.dedup();
            assert_eq!(all.len(), count, "{}", scheme.name);
        }
    }

    #[test]
    fn the_documentation_of_open_names_each_scheme_and_each_parameter() {
        let documentation = include_str!("open.rs");
        for scheme in SCHEMES {
            let shown = scheme.name.trim_start_matches("postgresql").trim_start_matches("valkeys");
            assert!(documentation.contains(&format!("`{shown}")), "{}", scheme.name);
            let of_stores = scheme.store.own().iter().chain(scheme.store.around());
            for name in of_stores {
                assert!(documentation.contains(&format!("`{name}`")), "{}: {name}", scheme.name);
            }
        }
    }
}
