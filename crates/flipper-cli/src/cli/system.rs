//! Commands about this program.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

const SERVE: &str = "\
Thrift knows no passwords and no encryption: listen where only those reach it who may change flags.
Ends with Ctrl-C, once calls that are under way have ended.
With --json, a line once it serves: {\"address\"}.";

/// Arguments of `serve-thrift`.
#[derive(Args, Debug)]
#[command(after_help = SERVE)]
pub(crate) struct ServeArgs {
    /// Where to listen; with the port 0, the system chooses one
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "HOST:PORT")]
    pub(crate) address: String,
    /// Let nobody change anything
    #[arg(long)]
    pub(crate) read_only: bool,
}

const COMPLETIONS: &str = "\
Examples:
  flipper completions bash > ~/.local/share/bash-completion/completions/flipper
  flipper completions zsh > ~/.zfunc/_flipper
  flipper completions fish > ~/.config/fish/completions/flipper.fish";

/// Arguments of `completions`.
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    pub(crate) shell: Shell,
}

const MAN: &str = "\
Examples:
  flipper man | man -l -
  flipper man --out /usr/local/share/man/man1";

/// Arguments of `man`.
#[derive(Args, Debug)]
#[command(after_help = MAN)]
pub(crate) struct ManArgs {
    /// Write a page for each command into a directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) out: Option<PathBuf>,
}
