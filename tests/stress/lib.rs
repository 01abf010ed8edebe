//! Nothing but a place for the test beside it.
