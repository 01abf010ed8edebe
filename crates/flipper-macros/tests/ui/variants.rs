use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature {
    Undeclared,
    #[flag(name = "A")]
    Fields(u8),
    #[flag(name = "B")]
    #[flag(name = "C")]
    Two,
}

fn main() {}
