//! What has changed between two states of a flag, in words.

use flipper::json::{Object, Value};
use flipper::{Condition, Flag};

use crate::escape::cut;
use crate::time::Moment;
use crate::words::{state, who};

/// How much of a value is shown.
const MOST: usize = 200;

/// Tells what has changed, one thing after the other; nothing if the records are the same.
pub(crate) fn changes(before: Option<&Flag>, after: Option<&Flag>, moment: &Moment) -> Vec<String> {
    match (before, after) {
        (None, None) => Vec::new(),
        (None, Some(after)) => vec![format!("created, {}", state(after, moment))],
        (Some(_), None) => vec!["deleted".to_owned()],
        (Some(before), Some(after)) if before.as_json() == after.as_json() => Vec::new(),
        (Some(before), Some(after)) => {
            let mut told = Vec::new();
            if before.is_switched_on() != after.is_switched_on() {
                told.push(if after.is_switched_on() { "switched on" } else { "switched off" }.to_owned());
            }
            conditions(before.conditions(), after.conditions(), &mut told);
            if before.bucketer() != after.bucketer() {
                let (old, new) = (who(before.bucketer(), moment), who(after.bucketer(), moment));
                told.push(format!("now {new}, before {old}"));
            }
            if let (Value::Object(before), Value::Object(after)) = (before.client_data(), after.client_data())
            {
                data(&before, &after, &mut told);
            }
            if before.created_date() != after.created_date() {
                told.push("date of creation changed".to_owned());
            }
            if told.is_empty() {
                told.push("something else in the record changed".to_owned());
            }
            told
        }
    }
}

/// Conditions that are gone, and those that are new.
fn conditions(before: &[Condition], after: &[Condition], told: &mut Vec<String>) {
    let mut kept: Vec<&Condition> = after.iter().collect();
    for old in before {
        match kept.iter().position(|new| *new == old) {
            Some(at) => {
                kept.swap_remove(at);
            }
            None => told.push(format!("condition removed: {}", cut(&old.to_string(), MOST))),
        }
    }
    let mut new: Vec<&Condition> = before.iter().collect();
    for condition in after {
        match new.iter().position(|old| *old == condition) {
            Some(at) => {
                new.swap_remove(at);
            }
            None => told.push(format!("condition added: {}", cut(&condition.to_string(), MOST))),
        }
    }
}

fn data(before: &Object, after: &Object, told: &mut Vec<String>) {
    for (key, value) in after.iter() {
        let key_shown = key.to_string_lossy();
        let old = before.iter().find(|(known, _)| *known == key).map(|(_, value)| value);
        match old {
            Some(old) if old == value => {}
            Some(old) => told.push(format!("data: {key_shown} = {}, before {}", short(value), short(old))),
            None => told.push(format!("data: {key_shown} = {}", short(value))),
        }
    }
    for (key, _) in before.iter() {
        if !after.iter().any(|(known, _)| known == key) {
            told.push(format!("data: {} removed", key.to_string_lossy()));
        }
    }
}

fn short(value: &Value) -> String {
    cut(&value.to_json(), MOST).into_owned()
}

#[cfg(test)]
mod tests {
    use flipper::{Bucketer, FlagName, Percentage, Timestamp};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn told(edit: impl FnOnce(&mut Flag) -> flipper::Result<()>) -> Vec<String> {
        let mut before = Flag::new(FlagName::new("X").unwrap(), NOW);
        before.merge_client_data([("owner", "horses")]).unwrap();
        before.add_condition(&Condition::builder().eq("a", 1).build().unwrap()).unwrap();
        let mut after = before.clone();
        edit(&mut after).unwrap();
        changes(Some(&before), Some(&after), &Moment::utc(NOW))
    }

    #[test]
    fn each_aspect_is_told() {
        assert!(told(|_| Ok(())).is_empty());
        assert_eq!(told(|flag| flag.set_enabled(true)), ["switched on"]);
        assert_eq!(told(|flag| flag.set_conditions([])), ["condition removed: a == 1"]);
        let again = Condition::builder().eq("a", 1).build().unwrap();
        assert_eq!(told(|flag| flag.add_condition(&again)), ["condition added: a == 1"]);
        assert_eq!(
            told(|flag| flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.1)?))),
            ["now for 10 % of the checks, before for everybody"]
        );
        assert_eq!(
            told(|flag| flag.merge_client_data([("owner", "ponies"), ("b", "c")])),
            ["data: owner = \"ponies\", before \"horses\"", "data: b = \"c\""]
        );
        let other = |flag: &mut Flag| flag.merge_meta(&Object::from([("team", "x")]));
        assert_eq!(told(other), ["something else in the record changed"]);
    }

    #[test]
    fn creation_and_deletion_are_told() {
        let flag = Flag::new(FlagName::new("X").unwrap(), NOW);
        let moment = Moment::utc(NOW);
        assert_eq!(changes(None, Some(&flag), &moment), ["created, off"]);
        assert_eq!(changes(Some(&flag), None, &moment), ["deleted"]);
    }
}
