//! `create`, `enable`, `disable`, `destroy`, and what all commands share that change one flag.

use std::sync::{Arc, Mutex, PoisonError};

use flipper::events::{Event, EventType};
use flipper::{Error, ErrorKind, Expect, FeatureFlagClient, Flag, FlagName};

use super::read;
use crate::changes::changes;
use crate::cli::{CreateArgs, DestroyArgs, SwitchArgs};
use crate::failure::{Code, Failure, Result};
use crate::output::{Role, confirm};
use crate::pairs::object;
use crate::run::Run;
use crate::shape;
use crate::words::state;

pub(crate) async fn create(run: &mut Run, args: &CreateArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let data = object(&args.data);
    let mut flag = Flag::new(FlagName::new(&args.name)?, run.moment.now);
    flag.set_enabled(args.enable)?;
    flag.merge_client_data(&data)?;
    if args.edit.dry_run {
        if client.exists(&args.name).await? {
            return Err(Failure::Told(
                Code::Conflict,
                format!("{:?}: there is a flag of this name already", args.name),
            ));
        }
        return tell(run, &args.name, &State { before: None, after: Some(flag) }, true);
    }
    let seen = Seen::of(&client);
    client.create_with(&args.name, args.enable, data).await?;
    seen.tell(run, &args.name)
}

pub(crate) async fn switch(run: &mut Run, args: &SwitchArgs, is_on: bool) -> Result<Code> {
    edit(run, &args.name, args.edit.dry_run, None, |flag| flag.set_enabled(is_on)).await
}

pub(crate) async fn destroy(run: &mut Run, args: &DestroyArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let before = match read(&client, &args.name).await {
        Ok(flag) => Some(flag),
        // It can be deleted all the same.
        Err(Failure::Flags(error)) if error.kind() == ErrorKind::Corrupt => None,
        Err(failure) => return Err(failure),
    };
    if args.safety.dry_run {
        return tell(run, &args.name, &State { before, after: None }, true);
    }
    let mut is_asked = false;
    if !args.safety.yes {
        let words = before
            .as_ref()
            .map_or_else(|| "a record that cannot be read".to_owned(), |flag| state(flag, &run.moment));
        is_asked = confirm(&format!("Delete {:?} ({words})?", args.name))?;
    }
    let seen = Seen::of(&client);
    // The answer was about what was shown.
    let found = match &before {
        Some(_) if is_asked => client.store().get(FlagName::new(&args.name)?).await?,
        _ => None,
    };
    match (before, found) {
        (Some(before), Some(found)) if found.value.as_json() == before.as_json() => {
            client.delete(&args.name, Expect::Matches(&found.version)).await?;
        }
        (_, Some(_)) => return Err(changed_meanwhile(&args.name).into()),
        (_, None) => client.destroy(&args.name).await?,
    }
    seen.tell(run, &args.name)
}

/// A question may wait for its answer for hours.
fn changed_meanwhile(name: &str) -> Error {
    let message =
        "it has changed while the question waited for its answer: nothing was done, look at it again";
    Error::new(ErrorKind::Conflict, message).with_flag(name)
}

/// Changes a flag, and tells what has changed. With a question, asks before on a terminal.
pub(super) async fn edit<E>(
    run: &mut Run,
    name: &str,
    is_dry: bool,
    question: Option<&str>,
    edit: E,
) -> Result<Code>
where
    E: Fn(&mut Flag) -> flipper::Result<()> + Send + Sync,
{
    let client = run.settings.open().await?;
    // What was shown with the question.
    let mut shown = None;
    if is_dry || question.is_some() {
        let before = read(&client, name).await?;
        let mut after = before.clone();
        edit(&mut after)?;
        let would = State { before: Some(before), after: Some(after) };
        if is_dry {
            return tell(run, name, &would, true);
        }
        if let Some(question) = question
            && confirm(&format!("{question} of {name:?} ({})?", would.changes(run).join("; ")))?
        {
            shown = would.before;
        }
    }
    let seen = Seen::of(&client);
    let edit = |flag: &mut Flag| match &shown {
        Some(shown) if shown.as_json() != flag.as_json() => Err(changed_meanwhile(name)),
        _ => edit(flag),
    };
    client.update(name, edit).await?;
    if let Some(state) = seen.take() {
        return tell(run, name, &state, false);
    }
    // Nothing was to be done.
    let flag = read(&client, name).await?;
    tell(run, name, &State { before: Some(flag.clone()), after: Some(flag) }, false)
}

/// A flag before and after a change.
pub(super) struct State {
    before: Option<Flag>,
    after: Option<Flag>,
}

impl State {
    fn changes(&self, run: &Run) -> Vec<String> {
        match (&self.before, &self.after) {
            // The record could not be read.
            (None, None) => vec!["deleted".to_owned()],
            (before, after) => changes(before.as_ref(), after.as_ref(), &run.moment),
        }
    }
}

/// What the events of a client have told last.
struct Seen(Arc<Mutex<Option<State>>>);

impl Seen {
    fn of(client: &FeatureFlagClient) -> Self {
        let seen = Arc::new(Mutex::new(None));
        for event in EventType::ALL.iter().filter(|event| event.phase() == flipper::events::Phase::After) {
            let seen = Arc::clone(&seen);
            client.events().on(*event, move |event: &Event<'_>| {
                let state = State { before: event.before.cloned(), after: event.after.cloned() };
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
            });
        }
        Self(seen)
    }

    fn take(&self) -> Option<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn tell(&self, run: &mut Run, name: &str) -> Result<Code> {
        tell(run, name, &self.take().unwrap_or(State { before: None, after: None }), false)
    }
}

/// Tells what has changed, or would.
fn tell(run: &mut Run, name: &str, told: &State, is_dry: bool) -> Result<Code> {
    let told_changes = told.changes(run);
    let actor = run.settings.actor();
    if run.out.is_json() {
        let json = shape::object([
            ("flag", name.into()),
            ("changes", told_changes.into()),
            ("before", shape::optional(told.before.as_ref(), &run.moment)),
            ("after", shape::optional(told.after.as_ref(), &run.moment)),
            ("actor", actor.into()),
            ("dry_run", is_dry.into()),
        ]);
        run.out.json(&json)?;
        return Ok(Code::Done);
    }
    let heading = run.out.paint(Role::Name, name).into_owned();
    let words = match told_changes.as_slice() {
        [] => "nothing to change".to_owned(),
        changes => crate::escape::shown(&changes.join("; ")).into_owned(),
    };
    let by = match (is_dry, told_changes.is_empty()) {
        (true, _) => " (dry run)".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!(" (by {})", crate::escape::shown(&actor)),
    };
    run.out.raw_line(&format!("{heading}: {words}{by}"))?;
    if let (Some(_), Some(after)) = (&told.before, &told.after) {
        let would = if is_dry { "would be" } else { "is" };
        run.out.line(format_args!("  {would} {}", state(after, &run.moment)))?;
    }
    Ok(Code::Done)
}
