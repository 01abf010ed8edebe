use flipper::Flags;

#[derive(Flags, Clone, Copy)]
enum Feature {
    #[flag(name = "A", expires = "31.1.2027")]
    Order,
    #[flag(name = "B", expires = "2027-02-29")]
    Day,
    #[flag(name = "C", expires = "2027-13-01")]
    Month,
    #[flag(name = "D", expires = 2027)]
    Number,
}

fn main() {}
