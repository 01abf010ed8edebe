//! `completions` and `man`: made of the same definitions as the help.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::failure::{Code, Failure, Result};
use crate::run::Run;

pub(crate) fn completions(run: &mut Run, args: &CompletionsArgs) -> Result<Code> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flipper", &mut script);
    run.out.bytes(&script)?;
    Ok(Code::Done)
}

pub(crate) fn man(run: &mut Run, args: &ManArgs) -> Result<Code> {
    if let Some(directory) = &args.out {
        let failed = |error: std::io::Error| Failure::file(directory, &error);
        std::fs::create_dir_all(directory).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
        run.out.line(format_args!("written to {}", directory.display()))?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        run.out.bytes(&page)?;
    }
    Ok(Code::Done)
}
