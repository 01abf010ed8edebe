//! Writing flags that come from elsewhere: what `import` and `copy` share.

use std::collections::HashMap;

use flipper::{Error, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName};
use futures_util::{Stream, StreamExt as _};

use crate::changes::changes;
use crate::escape::shown;
use crate::failure::{Code, Failure, Result};
use crate::output::{Role, error_json, note};
use crate::progress::Progress;
use crate::run::Run;
use crate::shape;

/// How many flags are written at the same time.
const AT_ONCE: usize = 16;

/// After so many failures in a row with which the store cannot be reached, the rest is left.
const MOST_OUTAGES: usize = 20;

/// How flags are written.
#[derive(Clone, Copy)]
pub(crate) struct Transfer {
    /// Whether flags that are there and differ are replaced.
    pub(crate) overwrite: bool,
    /// Whether nothing is written.
    pub(crate) dry_run: bool,
    /// How many flags there are, if that is known.
    pub(crate) whole: Option<u64>,
    /// What is done, for the progress bar.
    pub(crate) what: &'static str,
}

/// What has become of a flag.
enum Outcome {
    Created,
    /// What was there before.
    Replaced(Flag),
    Same,
    Failed(Error),
}

impl Outcome {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replaced(_) => "replaced",
            Self::Same => "same",
            Self::Failed(_) => "failed",
        }
    }
}

impl Transfer {
    /// Writes flags, and tells what has become of each: `Err` in place of a flag is its name with why it could not be had.
    pub(crate) async fn run<S>(self, run: &mut Run, target: &FeatureFlagClient, flags: S) -> Result<Code>
    where
        S: Stream<Item = Result<Flag, (Box<str>, Error)>>,
    {
        let progress = Progress::new(self.what, self.whole, run.out.is_json());
        let work = flags.map(|flag| async move {
            match flag {
                Ok(flag) => {
                    let outcome = self.write(target, &flag).await.unwrap_or_else(Outcome::Failed);
                    (flag.name().into(), Some(flag), outcome)
                }
                Err((name, error)) => (name, None, Outcome::Failed(error)),
            }
        });
        // In the order in which they came, so that what is printed can be compared.
        let mut work = std::pin::pin!(work.buffered(AT_ONCE));
        let (mut counts, mut outages): (HashMap<&str, u64>, _) = (HashMap::new(), 0);
        while let Some((name, flag, outcome)) = work.next().await {
            *counts.entry(outcome.as_str()).or_default() += 1;
            progress.add(1);
            if self.is_told(run, &outcome) {
                still(progress.aside(|| self.tell(run, &name, flag.as_ref(), &outcome)))?;
            }
            let is_outage =
                matches!(&outcome, Outcome::Failed(error) if error.kind() == ErrorKind::Unavailable);
            outages = if is_outage { outages + 1 } else { 0 };
            if outages == MOST_OUTAGES {
                drop(progress);
                still(self.sum_up(run, &counts))?;
                return Err(Failure::error(
                    "the store cannot be reached: stopped; the same command goes on from here",
                ));
            }
        }
        drop(progress);
        still(self.sum_up(run, &counts))?;
        Ok(if counts.contains_key("failed") { Code::Error } else { Code::Done })
    }

    async fn write(self, target: &FeatureFlagClient, flag: &Flag) -> flipper::Result<Outcome> {
        let name = FlagName::new(flag.name())?;
        let found = target.store().get(name).await?;
        let is_whole = target.capabilities().whole_records;
        match found {
            None => {
                if !self.dry_run {
                    target.put(flag, Expect::Absent).await?;
                }
                Ok(Outcome::Created)
            }
            Some(found) if is_same(&found.value, flag, is_whole) => Ok(Outcome::Same),
            Some(found) if self.overwrite => {
                if !self.dry_run {
                    target.put(flag, Expect::Matches(&found.version)).await?;
                }
                Ok(Outcome::Replaced(found.value))
            }
            Some(_) => {
                let message = "there is another flag of this name: `--overwrite` replaces it";
                Err(Error::new(ErrorKind::AlreadyExists, message).with_flag(flag.name()))
            }
        }
    }

    /// Whether there is a line for it. One for each of many thousands that went well helps nobody.
    fn is_told(self, run: &Run, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failed(_) => true,
            Outcome::Created | Outcome::Replaced(_) => self.dry_run || run.out.is_json(),
            Outcome::Same => run.out.is_json(),
        }
    }

    fn tell(self, run: &mut Run, name: &str, flag: Option<&Flag>, outcome: &Outcome) -> Result<()> {
        if run.out.is_json() {
            let error = match outcome {
                Outcome::Failed(error) => error_json(error),
                _ => flipper::json::Value::Null,
            };
            return run.out.json(&shape::object([
                ("flag", name.into()),
                ("outcome", outcome.as_str().into()),
                ("error", error),
                ("dry_run", self.dry_run.into()),
            ]));
        }
        let told = match outcome {
            Outcome::Failed(error) => {
                note(format_args!("{name}: {error}"));
                return Ok(());
            }
            Outcome::Created => "would be created".to_owned(),
            Outcome::Replaced(before) => {
                format!("would be replaced: {}", changes(Some(before), flag, &run.moment).join("; "))
            }
            Outcome::Same => return Ok(()),
        };
        let line = format!("{}: {}", run.out.paint(Role::Name, name), shown(&told));
        run.out.raw_line(&line)
    }

    fn sum_up(self, run: &mut Run, counts: &HashMap<&str, u64>) -> Result<()> {
        if run.out.is_json() {
            return Ok(());
        }
        let count = |outcome| counts.get(outcome).copied().unwrap_or(0);
        let would = if self.dry_run { " (dry run)" } else { "" };
        run.out.line(format_args!(
            "{} created, {} replaced, {} there already, {} failed{would}",
            count("created"),
            count("replaced"),
            count("same"),
            count("failed"),
        ))
    }
}

/// Goes on though nobody reads what is told any more: that is no reason to leave the work half done.
fn still(told: Result<()>) -> Result<()> {
    match told {
        Err(Failure::Closed(_)) => Ok(()),
        told => told,
    }
}

/// Whether two records are the same: byte for byte, unless the store takes records to pieces.
pub(crate) fn is_same(a: &Flag, b: &Flag, is_whole: bool) -> bool {
    let rewritten = |flag: &Flag| flag.rewritten_by_flipper_client(flipper::Timestamp::from_secs(0)).ok();
    a.as_json() == b.as_json() || !is_whole && rewritten(a).is_some_and(|a| rewritten(b) == Some(a))
}
