use flipper::Flags;

#[derive(Flags)]
enum Feature {
    #[flag(name = "A")]
    A,
}

fn main() {}
