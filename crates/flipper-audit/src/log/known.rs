//! What the log knows of each flag.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use flipper_core::Flag;

use super::state::Doubt;
use crate::redact::Redaction;

/// The last state of a flag, and what may have come of it.
#[derive(Debug, Default)]
pub(super) struct Known {
    flags: HashMap<Box<str>, State>,
    /// Whether all flags of the store were seen: what is not known then was not there.
    is_complete: bool,
}

#[derive(Debug, Default)]
struct State {
    /// What it was when it was seen last; not known yet if there is none.
    seen: Option<Seen>,
    /// A change of which nobody could tell whether it has happened: its line, and what the flag would be then.
    doubt: Option<(u64, Seen)>,
    /// The edits that are under way: more than one if several clients share the log.
    under_way: Vec<UnderWay>,
    /// Edits of which several were under way at once; `None` if they came one after the other.
    together: Option<Together>,
    /// How many have ended.
    ended: u64,
}

/// Edits that may be told in another order than the store has made them: what is one of their results was not made by somebody else.
#[derive(Debug, Default)]
struct Together {
    /// The hashes of what they have made of the flag.
    made: HashSet<u64>,
    /// Whether all of them have ended.
    is_over: bool,
}

#[derive(Debug)]
struct UnderWay {
    edit: u64,
    /// Whether it was announced by a line.
    is_announced: bool,
}

#[derive(Debug)]
struct Seen {
    flag: Option<Flag>,
    /// Whether it was read from the log, where some of it may be redacted.
    is_shown: bool,
}

/// How what is seen relates to what is known.
pub(super) enum News {
    /// It is the first time.
    First,
    /// It is as it was.
    Same,
    /// A change in doubt has happened: that of this line.
    Resolved(u64),
    /// Somebody else has changed it; what it was before.
    Changed(Option<Flag>),
}

impl Known {
    fn state(&mut self, name: &str) -> &mut State {
        // Not to copy the name each time.
        if !self.flags.contains_key(name) {
            self.flags.insert(name.into(), State::default());
        }
        self.flags.entry(name.into()).or_default()
    }

    /// Takes note that an edit is under way.
    pub(super) fn begins(&mut self, name: &str, edit: u64) {
        let state = self.state(name);
        if !state.under_way.iter().any(|other| other.edit == edit) {
            state.under_way.push(UnderWay { edit, is_announced: false });
        }
        if state.under_way.len() > 1 {
            state.together.get_or_insert_default().is_over = false;
        }
    }

    /// Takes note that an edit has ended. Whoever has vetoed it before the log was told of it has left nothing to end.
    pub(super) fn ends(&mut self, name: &str, edit: u64) {
        let state = self.state(name);
        state.under_way.retain(|other| other.edit != edit);
        if let Some(together) = state.together.as_mut().filter(|_| state.under_way.is_empty()) {
            together.is_over = true;
        }
        state.ended += 1;
    }

    /// Takes note that an edit was announced by a line.
    pub(super) fn is_announced(&mut self, name: &str, edit: u64) {
        let mut under_way = self.state(name).under_way.iter_mut();
        if let Some(announced) = under_way.find(|other| other.edit == edit) {
            announced.is_announced = true;
        }
    }

    /// Whether an edit was announced, so that its end is to be told.
    pub(super) fn was_announced(&self, name: &str, edit: u64) -> bool {
        let under_way = self.flags.get(name).map(|state| &state.under_way);
        under_way.is_some_and(|edits| edits.iter().any(|other| other.edit == edit && other.is_announced))
    }

    /// Takes note that all flags were seen.
    pub(super) fn is_complete(&mut self) {
        self.is_complete = true;
    }

    /// Whether a flag is known to be in this state.
    pub(super) fn is(&self, name: &str, flag: Option<&Flag>, redaction: &Redaction) -> bool {
        match self.flags.get(name).and_then(|state| state.seen.as_ref()) {
            Some(seen) => seen.is(flag, redaction),
            None => self.is_complete && flag.is_none(),
        }
    }

    /// How many edits of a flag have ended; `None` if some are under way.
    pub(super) fn quiet_since(&self, name: &str) -> Option<u64> {
        match self.flags.get(name) {
            Some(state) if !state.under_way.is_empty() => None,
            state => Some(state.map_or(0, |state| state.ended)),
        }
    }

    /// Takes note of what a flag is, and returns how that relates to what was known.
    pub(super) fn see(&mut self, name: &str, seen: Option<&Flag>, redaction: &Redaction) -> News {
        let is_complete = self.is_complete;
        let state = self.state(name);
        let doubted = state.doubt.as_ref().filter(|(_, flag)| flag.is(seen, redaction));
        let news = match &state.seen {
            None if is_complete && seen.is_none() => News::Same,
            None if is_complete => News::Changed(None),
            None => News::First,
            Some(known) if known.is(seen, redaction) => News::Same,
            Some(_) if let Some((line, _)) = doubted => News::Resolved(*line),
            Some(_) if state.is_of_several(seen) => News::Same,
            Some(known) => News::Changed(known.flag.clone()),
        };
        if !matches!(news, News::Same) {
            state.doubt = None;
        }
        state.together.take_if(|together| together.is_over);
        state.seen = Some(Seen { flag: seen.cloned(), is_shown: false });
        news
    }

    /// Takes note of what a flag was changed to.
    pub(super) fn set(&mut self, name: &str, flag: Option<&Flag>) {
        let state = self.state(name);
        if let Some(together) = &mut state.together {
            together.made.insert(hash(flag));
        }
        state.seen = Some(Seen { flag: flag.cloned(), is_shown: false });
        state.doubt = None;
    }

    /// Takes note of what the log says of a flag, and of a change that may have happened since.
    pub(super) fn set_from_log(&mut self, name: &str, flag: Option<Flag>, doubt: Option<Doubt>) {
        let state = self.state(name);
        // What this process has seen or done is newer.
        let is_new = state.under_way.is_empty() && state.ended == 0;
        if is_new && state.seen.as_ref().is_none_or(|seen| seen.is_shown) {
            state.seen = Some(Seen { flag, is_shown: true });
            state.doubt = doubt.map(|(line, flag)| (line, Seen { flag, is_shown: true }));
        }
    }

    /// Takes note of a change that may have happened.
    pub(super) fn doubt(&mut self, name: &str, line: u64, flag: Option<&Flag>) {
        self.state(name).doubt = Some((line, Seen { flag: flag.cloned(), is_shown: false }));
    }

    /// The flags that were there when they were seen last.
    pub(super) fn present(&self) -> Vec<Box<str>> {
        let is_present = |state: &State| state.seen.as_ref().is_some_and(|seen| seen.flag.is_some());
        self.flags.iter().filter(|(_, state)| is_present(state)).map(|(name, _)| name.clone()).collect()
    }
}

impl State {
    /// Whether one of several edits that are or were under way at once may have made the flag what it is.
    fn is_of_several(&self, seen: Option<&Flag>) -> bool {
        self.together.as_ref().is_some_and(|edits| !edits.is_over || edits.made.contains(&hash(seen)))
    }
}

fn hash(flag: Option<&Flag>) -> u64 {
    let mut hasher = DefaultHasher::new();
    flag.map(Flag::as_json).hash(&mut hasher);
    hasher.finish()
}

impl Seen {
    fn is(&self, other: Option<&Flag>, redaction: &Redaction) -> bool {
        match (&self.flag, other) {
            // More may be redacted now than was then, and what stands around a record is not in the log.
            (Some(known), Some(seen)) if self.is_shown => {
                let [known, seen] = [known, seen].map(|flag| redaction.shown(flag));
                known.trim_ascii() == seen.trim_ascii()
            }
            (known, seen) => is_same(known.as_ref(), seen),
        }
    }
}

fn is_same(one: Option<&Flag>, other: Option<&Flag>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.as_json() == other.as_json(),
        (None, None) => true,
        _ => false,
    }
}
