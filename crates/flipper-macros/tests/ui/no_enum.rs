use flipper::Flags;

#[derive(Flags, Clone, Copy)]
struct Feature {
    checkout: bool,
}

fn main() {}
