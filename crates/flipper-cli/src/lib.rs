//! The command line of flipper: look at, change and move feature flags, in any store that [`flipper::open`] knows.
//!
//! ```sh
//! flipper demo                                        # see it work, without a server
//! flipper --store redis://host list --state on
//! flipper condition add NEW_SEARCH is_admin=true
//! flipper bucket ramp NEW_SEARCH --to 100% --duration 1d --by user_id
//! flipper check NEW_SEARCH user_id=7 && echo on
//! flipper explain NEW_SEARCH user_id=7
//! ```
//!
//! `flipper --help` tells all commands, `flipper COMMAND --help` what one of them takes, with examples and the shape of what it
//! prints with `--json`; `flipper man` and `flipper completions` make the manual and completions of the same definitions.
//!
//! | exit status | |
//! |---|---|
//! | 0 | done; `check`: the flag is on |
//! | 1 | an error, or nobody can tell |
//! | 2 | wrong usage |
//! | 3 | `check`: the flag is off; `diff`, `verify`: something differs |
//! | 4 | there is no such flag |
//! | 5 | a conflict: the flag exists already, or others keep changing it |
//!
//! What comes from a store is escaped before a terminal sees it. Addresses are shown without their passwords.
//!
//! This library is there for the program alone, and for its tests: its interface may change with any release.

mod changes;
mod cli;
mod commands;
mod config;
mod escape;
mod failure;
mod output;
mod pairs;
mod progress;
mod records;
mod run;
mod shape;
mod signals;
mod store;
mod time;
mod transfer;
mod usage;
mod words;

pub use run::main;
