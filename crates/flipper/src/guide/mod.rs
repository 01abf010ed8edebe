//! The guide: how to use flipper, page by page.
//!
//! * [Stores](stores): which store, which wrapper, and what each guarantees.
//! * [Owning flags](owning_flags): in the Redis or Consul that you run already.
//! * [Flags in code](flags_in_code): declared once; functions and routes behind them.
//! * [Testing](testing): flags of one test, outages, real servers.
//! * [Outages](outages): what happens when a store is away, or has something in it that nobody can read.
//! * [Audit logs](audit_logs): who changed what, what was a flag then; traces, metrics, webhooks.
//! * [Performance](performance): what a check costs, and how to have it cost less.
//! * [The command line](command_line): look at, change and move flags, in any store.
//! * [From Python](from_python): moving from flipper-client, or sharing flags with it; every difference.
//! * [The Thrift service](thrift_service): hosting it, or implementing it.
//! * [Writing a store](writing_a_store): four calls, and a suite that proves them right.
//!
//! How flipper compares with other libraries and platforms is in COMPARE.md.
//!
//! The code in these pages is whole programs, which the tests run, with the servers that they name.

// A page is always shown; its code is tested where the features are on that it uses, as in the tests of the whole workspace.
macro_rules! page {
    ($name:ident, $file:literal, $($feature:literal),* $(; $links:literal)?) => {
        $(#[doc = include_str!($links)])?
        #[cfg_attr(any(not(doctest), all($(feature = $feature),*)), doc = include_str!($file))]
        pub mod $name {}
    };
}

page!(stores, "stores.md", "cached", "file", "memory", "mirror", "postgres", "redis", "replicated", "s3");
page!(owning_flags, "owning_flags.md", "consul", "mirror", "redis");
page!(flags_in_code, "flags_in_code.md", "macros", "memory", "tower");
page!(testing, "testing.md", "macros", "memory", "mirror", "redis");
page!(outages, "outages.md", "memory", "mirror", "redis");
page!(audit_logs, "audit_logs.md", "audit", "audit-webhook", "memory", "mirror", "redis");
// Documentation copies no files, so its pictures are links with all that is in them.
page!(performance, "performance.md", "memory"; "plots/links.md");
page!(command_line, "command_line.md",);
page!(from_python, "from_python.md", "memory");
page!(thrift_service, "thrift_service.md", "memory", "thrift");
page!(writing_a_store, "writing_a_store.md", "memory");
