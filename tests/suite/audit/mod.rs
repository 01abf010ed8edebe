//! The audit log of stores that are shared, and of processes that are killed.

mod killed;
mod redis;
