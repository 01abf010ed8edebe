//! Where flags are: `base_key/name`, as flipper-client has it.

use flipper_core::FlagName;

#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The base key and its slash.
    prefix: Box<str>,
}

impl Keys {
    pub(crate) fn new(base_key: &str) -> Self {
        Self { prefix: format!("{base_key}/").into() }
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn of(&self, name: FlagName<'_>) -> String {
        [&self.prefix, name.as_str()].concat()
    }

    /// The name in a key; `None` for a key elsewhere.
    pub(crate) fn name<'k>(&self, key: &'k [u8]) -> Option<&'k [u8]> {
        key.strip_prefix(self.prefix.as_bytes())
    }

    /// The glob that matches all keys below the base key, and no others.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix.len() + 1);
        for c in self.prefix.chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('*');
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_takes_the_base_key_as_it_is() {
        assert_eq!(Keys::new("features").pattern(), "features/*");
        assert_eq!(Keys::new(r"a[b]?*\-^").pattern(), r"a\[b\]\?\*\\\-\^/*");
        assert_eq!(Keys::new("").pattern(), "/*");
    }

    #[test]
    fn names_are_found_in_keys() {
        let keys = Keys::new("features");
        assert_eq!(keys.of(FlagName::new("a/b").unwrap()), "features/a/b");
        assert_eq!(keys.name(b"features/a/b"), Some(&b"a/b"[..]));
        assert_eq!(keys.name(b"features-other/a"), None);
        assert_eq!(keys.name(b"features/"), Some(&b""[..]));
    }
}
