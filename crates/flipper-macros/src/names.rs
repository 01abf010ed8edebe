//! The rules for the names of flags, as `FlagName` of `flipper-core` has them.

use syn::LitStr;

/// The longest legal name, in bytes of UTF-8.
const MAX_LEN: usize = 512;

/// Refuses a name that no store would take.
pub(crate) fn check(name: &LitStr) -> syn::Result<String> {
    let text = name.value();
    match illegal(&text) {
        Some(why) => Err(syn::Error::new(name.span(), why)),
        None => Ok(text),
    }
}

fn illegal(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("a flag's name cannot be empty".to_owned());
    }
    if name.len() > MAX_LEN {
        let len = name.len();
        return Some(format!("a flag's name can have at most {MAX_LEN} bytes of UTF-8, this one has {len}"));
    }
    let (at, control) = name.char_indices().find(|(_, c)| c.is_control())?;
    let control = control as u32;
    Some(format!("a flag's name cannot have control characters, this one has U+{control:04X} at byte {at}"))
}

#[cfg(test)]
mod tests {
    use flipper_core::FlagName;

    use super::*;

    #[test]
    fn names_are_legal_here_if_they_are_legal_for_stores() {
        let around_the_longest = [511, 512, 513].map(|len| "x".repeat(len));
        let longest = "é".repeat(256);
        let mut names = vec!["", "X", "..", "a//b", " ", "line\nbreak", "é\u{85}", longest.as_str()];
        names.extend(around_the_longest.iter().map(String::as_str));
        for name in names {
            assert_eq!(illegal(name).is_none(), FlagName::new(name).is_ok(), "{name:?}");
        }
        for c in '\0'..=char::MAX {
            let name = c.to_string();
            assert_eq!(illegal(&name).is_none(), FlagName::new(&name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_stores_say_it() {
        for name in ["", "a\0b"] {
            let here = illegal(name).unwrap();
            let there = FlagName::new(name).unwrap_err();
            let start = here.split(',').next().unwrap();
            assert!(there.message().starts_with(start), "{here} / {there}");
        }
    }
}
