use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature {
    #[flag(name = "CHECKOUT")]
    Checkout,
    #[flag(name = "SALE")]
    Sale,
    #[flag(name = "CHECKOUT")]
    NewCheckout,
}

fn main() {}
