use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature {}

fn main() {}
