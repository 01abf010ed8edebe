use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature<const N: usize> {
    #[flag(name = "A")]
    A,
}

fn main() {}
