//! The parameters of addresses that become settings: how they are called, and what they can be.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::{LONGEST, Settings};

/// A parameter.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    value: Value,
}

/// What a parameter can be, and where it goes to.
enum Value {
    Switch(fn(&mut Settings) -> &mut Option<bool>),
    Seconds(fn(&mut Settings) -> &mut Option<Duration>),
    /// A number, and the least that it may be.
    Count(usize, fn(&mut Settings) -> &mut Option<usize>),
    Text(fn(&mut Settings) -> &mut Option<String>),
    /// A text that may be empty.
    Prefix(fn(&mut Settings) -> &mut Option<String>),
    Choice(&'static [&'static str], fn(&mut Settings) -> &mut Option<String>),
    Server(fn(&mut Settings) -> &mut Option<String>),
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
}

const fn parameter(name: &'static str, value: Value) -> Parameter {
    Parameter { name, value }
}

const CONSISTENCIES: &[&str] = &["default", "consistent", "stale"];

const PARAMETERS: &[Parameter] = &[
    parameter("base_key", Value::Text(|settings| &mut settings.base_key)),
    parameter("prefix", Value::Prefix(|settings| &mut settings.prefix)),
    parameter("table", Value::Text(|settings| &mut settings.table)),
    parameter("schema", Value::Text(|settings| &mut settings.schema)),
    parameter("create_table", Value::Switch(|settings| &mut settings.create_table)),
    parameter("require_file", Value::Switch(|settings| &mut settings.require_file)),
    parameter("timeout", Value::Seconds(|settings| &mut settings.timeout)),
    parameter("connect_timeout", Value::Seconds(|settings| &mut settings.connect_timeout)),
    parameter("poll_interval", Value::Seconds(|settings| &mut settings.poll_interval)),
    parameter("poll_only", Value::Switch(|settings| &mut settings.poll_only)),
    parameter("connections", Value::Count(1, |settings| &mut settings.connections)),
    parameter("behind_pooler", Value::Switch(|settings| &mut settings.behind_pooler)),
    parameter("replicas", Value::Count(1, |settings| &mut settings.replicas)),
    parameter("replica_timeout", Value::Seconds(|settings| &mut settings.replica_timeout)),
    parameter("datacenter", Value::Text(|settings| &mut settings.datacenter)),
    parameter("namespace", Value::Text(|settings| &mut settings.namespace)),
    parameter("partition", Value::Text(|settings| &mut settings.partition)),
    parameter("consistency", Value::Choice(CONSISTENCIES, |settings| &mut settings.consistency)),
    parameter("region", Value::Text(|settings| &mut settings.region)),
    parameter("endpoint", Value::Server(|settings| &mut settings.endpoint)),
    parameter("path_style", Value::Switch(|settings| &mut settings.path_style)),
    parameter("profile", Value::Text(|settings| &mut settings.profile)),
    parameter("mirror", Value::Switch(|settings| &mut settings.mirror)),
    parameter("last_known_good", Value::Path(|settings| &mut settings.last_known_good)),
    parameter("start_timeout", Value::Seconds(|settings| &mut settings.start_timeout)),
    parameter("cache", Value::Count(0, |settings| &mut settings.cache)),
    parameter("ttl", Value::Seconds(|settings| &mut settings.ttl)),
];

impl Parameter {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.name == name)
    }

    /// Reads a value, `None` if there is no `=`. Returns `None` if it cannot be that.
    pub(crate) fn read(&self, value: Option<&str>, settings: &mut Settings) -> Option<()> {
        let value = match value.map(decoded) {
            Some(None) => return None,
            Some(Some(value)) if value.contains(char::is_control) => return None,
            value => value.flatten(),
        };
        if let Value::Switch(field) = self.value {
            let is_on = match value.as_deref() {
                None | Some("true") => true,
                Some("false") => false,
                Some(_) => return None,
            };
            *field(settings) = Some(is_on);
            return Some(());
        }
        let value = value?;
        let text = (!value.is_empty()).then(|| value.clone());
        match self.value {
            Value::Switch(_) => return None,
            Value::Seconds(field) => *field(settings) = Some(seconds(&value)?),
            Value::Count(least, field) => {
                *field(settings) = Some(value.parse().ok().filter(|count| *count >= least)?);
            }
            Value::Text(field) => *field(settings) = Some(text?),
            Value::Prefix(field) => *field(settings) = Some(value),
            Value::Choice(choices, field) => {
                *field(settings) = Some(text.filter(|text| choices.contains(&text.as_str()))?);
            }
            Value::Server(field) => *field(settings) = Some(text.filter(|text| is_server(text))?),
            Value::Path(field) => {
                *field(settings) = Some(text.map(PathBuf::from).filter(|path| path.is_absolute())?);
            }
        }
        Some(())
    }

    /// What it can be.
    pub(crate) fn expected(&self) -> String {
        let name = self.name;
        match self.value {
            Value::Switch(_) => format!("is a switch: `{name}`, `{name}=true` or `{name}=false`"),
            Value::Seconds(_) => format!("is a time in seconds, more than none: `{name}=1.5`"),
            Value::Count(0, _) => format!("is a number, 0 for none: `{name}=5000`"),
            Value::Count(..) => format!("is a number, and at least 1: `{name}=2`"),
            Value::Text(_) => format!("is a text, without control characters and not empty: `{name}=a%20b`"),
            Value::Prefix(_) => format!("is a text without control characters: `{name}=a%20b`"),
            Value::Choice(choices, _) => format!("is {}", crate::scheme::listed(choices.iter())),
            Value::Server(_) => format!(
                "is the address of a server, without user and password: `{name}=http://127.0.0.1:9000`"
            ),
            Value::Path(_) => format!("is the absolute path of a file: `{name}=/var/lib/app/flags.good`"),
        }
    }
}

fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.parse().ok()?;
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (!time.is_zero()).then(|| time.min(LONGEST))
}

/// Whether it is the address of a server, and nothing that could be a secret.
pub(crate) fn is_server(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', ':'])
            && !rest.contains(|c: char| c.is_whitespace() || matches!(c, '@' | '?' | '#' | '%'))
    })
}

/// Replaces `%20` and the like by what they stand for; `None` if a `%` stands for nothing, or the result is no text.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut escapes = text.split('%').skip(1);
    let is_escape = |part: &str| part.bytes().take_while(u8::is_ascii_hexdigit).count() >= 2;
    if !escapes.all(is_escape) {
        return None;
    }
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
