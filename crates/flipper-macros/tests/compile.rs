//! What does not compile says why, and where.

#[test]
fn mistakes_are_told_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}

#[test]
fn what_is_unsafe_may_be_redirected_to_what_is_unsafe() {
    // Here, as this crate has no unsafe code.
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
}
