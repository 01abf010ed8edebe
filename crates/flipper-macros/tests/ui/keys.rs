use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature {
    #[flag(name = "UNKNOWN_KEY", team = "payments")]
    UnknownKey,
    #[flag(name = "TWICE", owner = "payments", owner = "pricing")]
    Twice,
    #[flag(name = "NO_VALUE", default)]
    NoValue,
    #[flag(name = "WRONG_TYPE", default = "true")]
    WrongType,
    #[flag(name = NAME)]
    NoLiteral,
    #[flag(owner = "payments")]
    NoName,
    #[flag]
    Bare,
    #[flag("BARE_NAME")]
    BareName,
}

fn main() {}
