//! `list`.

use flipper::{Error, Flag, Listed, Page};
use futures_util::StreamExt as _;

use super::Pattern;
use crate::cli::{ListArgs, Sort, Switched};
use crate::escape::cut;
use crate::failure::{Code, Result};
use crate::output::{Output, Role, error_json};
use crate::run::Run;
use crate::shape;
use crate::time::Moment;
use crate::words::state;

/// How many flags are looked at before the first is shown, to know how wide the names are.
const FIRST: usize = 200;

/// Names are given no more columns than so many.
const WIDEST: usize = 60;

/// How much of a state is shown.
const MOST: usize = 200;

/// One line.
enum Row {
    Flag(Flag),
    Bad(Box<str>, Error),
}

pub(crate) async fn list(run: &mut Run, args: &ListArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let pattern = Pattern::new(args.pattern.as_deref());
    let mut listing = client.store().list(Page::ALL);
    let mut rows = Rows { sort: args.sort, width: None, waiting: Vec::new() };
    let (mut left, mut code) = (args.limit.unwrap_or(usize::MAX), Code::Done);
    while left > 0 {
        let Some(listed) = listing.next().await else { break };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                // What was read is shown; that it is not all is told after it.
                rows.finish(run, args)?;
                return Err(error.into());
            }
        };
        if !pattern.matches_listed(&listed) {
            continue;
        }
        let row = match listed {
            Listed::Flag(found) if is_wanted(&found.value, args.state) => Row::Flag(found.value),
            Listed::Bad { name, error, .. } => {
                code = Code::Error;
                Row::Bad(name, error)
            }
            _ => continue,
        };
        if args.sort.is_none() {
            left -= 1;
        }
        rows.add(run, args, row)?;
    }
    rows.finish(run, args)?;
    Ok(code)
}

fn is_wanted(flag: &Flag, state: Option<Switched>) -> bool {
    state.is_none_or(|state| flag.is_switched_on() == (state == Switched::On))
}

/// Lines that wait to be shown: all of them to be sorted, or the first to be measured.
struct Rows {
    sort: Option<Sort>,
    width: Option<usize>,
    waiting: Vec<Row>,
}

impl Rows {
    fn add(&mut self, run: &mut Run, args: &ListArgs, row: Row) -> Result<()> {
        if self.sort.is_none() && (self.width.is_some() || run.out.is_json()) {
            return print(&mut run.out, &run.moment, self.width.unwrap_or(0), &row);
        }
        self.waiting.push(row);
        match (self.sort, args.limit) {
            (None, _) if self.waiting.len() == FIRST => self.flush(run),
            // No more is kept than can be shown.
            (Some(_), Some(limit)) if self.waiting.len() > limit.saturating_mul(2).saturating_add(1_000) => {
                self.sort(run, args);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, run: &mut Run, args: &ListArgs) -> Result<()> {
        self.sort(run, args);
        self.flush(run)
    }

    fn flush(&mut self, run: &mut Run) -> Result<()> {
        let names = self.waiting.iter().map(|row| match row {
            Row::Flag(flag) => flag.name().chars().count(),
            Row::Bad(name, _) => name.chars().count(),
        });
        let width = self.width.unwrap_or_else(|| names.max().unwrap_or(0).min(WIDEST));
        self.width = Some(width);
        self.waiting.drain(..).try_for_each(|row| print(&mut run.out, &run.moment, width, &row))
    }

    fn sort(&mut self, run: &Run, args: &ListArgs) {
        let Some(sort) = self.sort else { return };
        self.waiting.sort_by_cached_key(|row| match (row, sort) {
            (Row::Flag(flag), Sort::Name) => (0, String::new(), flag.name().to_owned()),
            (Row::Flag(flag), Sort::Created) => {
                (flag.created_date().unwrap_or(0), String::new(), flag.name().to_owned())
            }
            (Row::Flag(flag), Sort::State) => (0, state(flag, &run.moment), flag.name().to_owned()),
            (Row::Bad(name, _), _) => (0, String::new(), name.to_string()),
        });
        if args.reverse {
            self.waiting.reverse();
        }
        self.waiting.truncate(args.limit.unwrap_or(usize::MAX));
    }
}

fn print(out: &mut Output, moment: &Moment, width: usize, row: &Row) -> Result<()> {
    if out.is_json() {
        return match row {
            Row::Flag(flag) => out.json(&shape::flag(flag, moment)),
            Row::Bad(name, error) => {
                out.json(&shape::object([("name", (&**name).into()), ("error", error_json(error))]))
            }
        };
    }
    let (name, words, role) = match row {
        Row::Flag(flag) if flag.is_switched_on() => (flag.name(), state(flag, moment), Role::On),
        Row::Flag(flag) => (flag.name(), state(flag, moment), Role::Off),
        Row::Bad(name, error) => (&**name, format!("cannot be read: {}", error.message()), Role::Bad),
    };
    let shown_name = out.paint(Role::Name, name);
    let room = width.saturating_sub(name.chars().count());
    let words = cut(&words, MOST);
    let line = format!("{shown_name}{:room$}  {}", "", out.paint(role, &words));
    out.raw_line(&line)
}
