use flipper::Flags;

#[derive(Flags, Clone, Copy)]
#[flags(prefix = "SHOP_")]
enum Feature {
    #[flag(name = "A")]
    A,
}

fn main() {}
