//! One flag in a table, laid out so that most checks look at nothing else.

use std::sync::Arc;

use crate::evaluate::Step;
use crate::{Flag, Versioned};

/// How many bytes of a name fit into a bucket. Longer names are looked up in their flags.
const INLINE: usize = 34;

/// What a check needs of a flag: one line of the cache, and nothing behind a pointer unless there are rules.
#[derive(Clone)]
#[repr(align(64))]
pub(crate) struct Bucket {
    name: [u8; INLINE],
    /// Of the name; more than [`INLINE`] if it is not in here.
    len: u8,
    verdict: Verdict,
    /// The lower half of the name's hash.
    tag: u32,
    rules: Rules,
    record: Arc<Versioned<Flag>>,
}

const _: () = assert!(size_of::<Bucket>() <= 64);

/// What decides if the verdict is [`Rules`](Verdict::Rules).
#[derive(Clone, Debug)]
pub(crate) enum Rules {
    /// A drawn number, against a share: so little that it is kept in place.
    Share(f64),
    Steps(Arc<[Step]>),
}

/// What there is to say about a flag before its rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Off for everybody.
    Off = 0,
    /// On for everybody.
    On = 1,
    /// The rules have to be asked.
    Rules = 2,
}

impl Bucket {
    pub(super) fn new(record: Arc<Versioned<Flag>>, hash: u64) -> Self {
        let flag = &record.value;
        let mut name = [0; INLINE];
        let bytes = flag.name().as_bytes();
        if let Some(inline) = name.get_mut(..bytes.len()) {
            inline.copy_from_slice(bytes);
        }
        let verdict = match (flag.is_switched_on(), flag.rules()) {
            (false, _) => Verdict::Off,
            (true, None) => Verdict::On,
            (true, Some(_)) => Verdict::Rules,
        };
        let rules = match flag.rules().map(|rules| &rules.steps) {
            Some(steps) if verdict == Verdict::Rules => match **steps {
                [Step::Share(share)] => Rules::Share(share),
                _ => Rules::Steps(Arc::clone(steps)),
            },
            // Nobody asks.
            _ => Rules::Share(0.0),
        };
        Self { name, len: bytes.len().min(INLINE + 1) as u8, verdict, tag: hash as u32, rules, record }
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
        match self.name.get(..self.len.into()) {
            Some(inline) => inline,
            None => self.record.value.name().as_bytes(),
        }
    }

    #[inline]
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    #[inline]
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    #[inline]
    pub(crate) fn record(&self) -> &Arc<Versioned<Flag>> {
        &self.record
    }
}
