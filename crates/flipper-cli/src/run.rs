//! From the command line to the exit status.

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Cli, Command};
use crate::commands;
use crate::failure::{Code, Failure, Result};
use crate::output::{Output, complain};
use crate::store::Settings;
use crate::time::Moment;
use crate::usage;

/// How long to wait for what goes on in the background when the work is done.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a command works with.
pub(crate) struct Run {
    pub(crate) out: Output,
    pub(crate) settings: Settings,
    pub(crate) moment: Moment,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match usage::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let is_json = cli.global.json;
    let code = match start(cli) {
        Ok(code) | Err(Failure::Closed(code)) => code,
        Err(failure) => {
            complain(&failure, is_json);
            failure.code()
        }
    };
    ExitCode::from(code as u8)
}

fn start(cli: Cli) -> Result<Code> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::error(format!("no threads can be had: {error}")))?;
    let out = Output::standard(cli.global.json, cli.global.color);
    let settings = Settings::load(cli.global)?;
    let mut run = Run { out, settings, moment: Moment::system() };
    let outcome = runtime.block_on(dispatch(&mut run, cli.command));
    let flushed = run.out.flush();
    runtime.shutdown_timeout(PATIENCE);
    // What has failed first is what matters; that nobody reads does not make another answer of it.
    outcome.and_then(|code| match flushed {
        Ok(()) | Err(Failure::Closed(_)) => Ok(code),
        Err(failure) => Err(failure),
    })
}

async fn dispatch(run: &mut Run, command: Command) -> Result<Code> {
    match command {
        Command::List(args) => commands::list::list(run, &args).await,
        Command::Show(args) => commands::show::show(run, &args).await,
        Command::Create(args) => commands::edit::create(run, &args).await,
        Command::Enable(args) => commands::edit::switch(run, &args, true).await,
        Command::Disable(args) => commands::edit::switch(run, &args, false).await,
        Command::Destroy(args) => commands::edit::destroy(run, &args).await,
        Command::Condition(args) => commands::condition::condition(run, &args).await,
        Command::Bucket(args) => commands::bucket::bucket(run, &args).await,
        Command::Data(args) => commands::data::data(run, &args).await,
        Command::Check(args) => commands::check::check(run, &args).await,
        Command::Explain(args) => commands::explain::explain(run, &args).await,
        Command::Simulate(args) => commands::simulate::simulate(run, &args).await,
        Command::Watch(args) => commands::watch::watch(run, &args).await,
        Command::Export(args) => commands::export::export(run, &args).await,
        Command::Import(args) => commands::import::import(run, &args).await,
        Command::Copy(args) => commands::copy::copy(run, &args).await,
        Command::Diff(args) => commands::diff::diff(run, &args).await,
        Command::Verify(args) => commands::verify::verify(run, &args).await,
        Command::Audit(args) => commands::audit::audit(run, &args),
        Command::ServeThrift(args) => commands::serve::serve(run, &args).await,
        Command::Demo => commands::demo::demo(run),
        Command::Completions(args) => commands::generate::completions(run, &args),
        Command::Man(args) => commands::generate::man(run, &args),
    }
}
