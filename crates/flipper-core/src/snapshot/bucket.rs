//! One flag in a table, laid out so that most checks look at nothing else.

use std::sync::Arc;

use crate::evaluate::{Program, Shape};
use crate::{Flag, Versioned};

/// How many bytes of a name and a program fit into a bucket.
const NEAR: usize = 47;

/// How many bytes of a name fit beside a pointer to a program.
const BESIDE: usize = 31;

/// The length of a name that does not fit: it is looked up in the flag.
const ELSEWHERE: u8 = u8::MAX;

/// What a check needs of a flag: one line of the cache, and nothing behind a pointer if name and rules are short.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Bucket {
    body: Body,
    name_len: u8,
    program_len: u8,
    verdict: Verdict,
    /// The lower half of the name's hash.
    tag: u32,
    record: Arc<Versioned<Flag>>,
}

const _: () = assert!(size_of::<Bucket>() <= 64);

#[derive(Clone)]
enum Body {
    /// The name at the beginning, and the program at the end.
    Near([u8; NEAR]),
    Far {
        name: [u8; BESIDE],
        program: Program,
    },
}

/// What there is to say about a flag before its rules are asked, and of what shape those are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Off for everybody.
    Off,
    /// On for everybody.
    On,
    /// A number is drawn.
    Share,
    /// One test.
    Test,
    /// One hash.
    Hash,
    Rules,
}

impl Bucket {
    pub(super) fn new(record: Arc<Versioned<Flag>>, hash: u64) -> Self {
        let flag = &record.value;
        let (verdict, rules) = match (flag.is_switched_on(), flag.rules()) {
            (false, _) => (Verdict::Off, None),
            (true, None) => (Verdict::On, None),
            (true, Some(rules)) => {
                let verdict = match Shape::of(&rules.program) {
                    Shape::Share => Verdict::Share,
                    Shape::Test => Verdict::Test,
                    Shape::Hash => Verdict::Hash,
                    Shape::Any => Verdict::Rules,
                };
                (verdict, Some(rules))
            }
        };
        let program = rules.map(|rules| Arc::clone(&rules.program)).unwrap_or_default();
        let name = flag.name().as_bytes();
        let program_len = program.len().try_into().unwrap_or(u8::MAX);
        let (body, is_here) = match (near(name, &program), copied(name)) {
            (Some(near), _) => (Body::Near(near), true),
            (None, Some(name)) => (Body::Far { name, program }, true),
            (None, None) => (Body::Far { name: [0; BESIDE], program }, false),
        };
        let name_len = if is_here { name.len() as u8 } else { ELSEWHERE };
        Self { body, name_len, program_len, verdict, tag: hash as u32, record }
    }

    /// Whether the flag may be that of a hash: nearly always, it is.
    #[inline]
    pub(super) fn may_be_of(&self, hash: u64) -> bool {
        self.tag == hash as u32
    }

    #[inline]
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.name() == name.as_bytes()
    }

    /// The bytes of the name, without a look at the flag if it is short.
    #[inline]
    pub(super) fn name(&self) -> &[u8] {
        // Both bodies begin with it, so that which one it is need not be asked.
        let beginning = match &self.body {
            Body::Near(near) => near.first_chunk(),
            Body::Far { name, .. } => Some(name),
        };
        let name = beginning.and_then(|beginning: &[u8; BESIDE]| beginning.get(..self.name_len.into()));
        name.unwrap_or_else(|| self.long_name())
    }

    #[inline(never)]
    fn long_name(&self) -> &[u8] {
        match &self.body {
            Body::Near(near) => near.get(..self.name_len.into()).unwrap_or_default(),
            Body::Far { .. } => self.record.value.name().as_bytes(),
        }
    }

    #[inline]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What decides if the verdict does not.
    #[inline]
    pub(crate) fn program(&self) -> &[u8] {
        match &self.body {
            Body::Near(near) => near.get(NEAR - usize::from(self.program_len)..).unwrap_or_default(),
            Body::Far { program, .. } => program,
        }
    }

    /// The share if the verdict is [`Share`](Verdict::Share): with it, a program ends.
    #[inline]
    pub(crate) fn share(&self) -> f64 {
        let end = match &self.body {
            Body::Near(near) => near.last_chunk(),
            Body::Far { program, .. } => program.last_chunk(),
        };
        end.map_or(0.0, |share| f64::from_le_bytes(*share))
    }

    #[inline]
    pub(crate) fn record(&self) -> &Arc<Versioned<Flag>> {
        &self.record
    }
}

/// A name and a program in one piece, if they fit.
fn near(name: &[u8], program: &[u8]) -> Option<[u8; NEAR]> {
    let mut near = [0; NEAR];
    let rest = NEAR.checked_sub(program.len())?;
    near[rest..].copy_from_slice(program);
    near[..rest].get_mut(..name.len())?.copy_from_slice(name);
    Some(near)
}

fn copied(name: &[u8]) -> Option<[u8; BESIDE]> {
    let mut copy = [0; BESIDE];
    copy.get_mut(..name.len())?.copy_from_slice(name);
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, FlagName, Timestamp, Version};

    #[test]
    fn names_and_programs_of_all_lengths_come_back() {
        for name_len in 1..=60 {
            for value_len in 0..=60 {
                let name = "n".repeat(name_len);
                let mut flag = Flag::new(FlagName::new(&name).unwrap(), Timestamp::from_secs(1));
                flag.set_enabled(true).unwrap();
                if value_len > 0 {
                    let condition = Condition::builder().eq("v", "x".repeat(value_len)).build().unwrap();
                    flag.set_conditions(&[condition]).unwrap();
                }
                let program = flag.rules().map(|rules| Arc::clone(&rules.program)).unwrap_or_default();
                let record = Versioned { value: flag, version: Version::from_u64(1) };
                let bucket = Bucket::new(Arc::new(record), 7);
                assert_eq!(bucket.name(), name.as_bytes());
                assert_eq!(bucket.program(), &*program, "{name_len} {value_len}");
                assert_eq!(matches!(bucket.body, Body::Near(_)), name.len() + program.len() <= NEAR);
            }
        }
    }
}
