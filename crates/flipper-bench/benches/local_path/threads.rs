//! Whether a second thread checks as much as the first.

use flipper_bench::{Bars, Shuffled, median, rate, rounds};
use flipper_core::Context;

use crate::flags::{self, Floor};

pub fn two_against_one(bars: &mut Bars) {
    println!("checks per second of two threads against one, 1,000 flags");
    let names = flipper_bench::names(1_000);
    let (floor, local) = (Floor::new(&names), flags::client(&names, flags::plain));
    let metered = flags::metered(&names, flags::plain);
    let floor = || {
        let (mut read, mut order) = (floor.reader(), Shuffled::new(&names));
        move || read(order.pick())
    };
    let plain = || {
        let (local, mut order) = (&local, Shuffled::new(&names));
        move || local.is_enabled(order.pick(), &Context::EMPTY)
    };
    let counted = || {
        let (metered, mut order) = (&metered, Shuffled::new(&names));
        move || metered.is_enabled(order.pick(), &Context::EMPTY)
    };
    let mut gains = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds() {
        gains[0].push(rate(2, &floor) / rate(1, &floor));
        gains[1].push(rate(2, &plain) / rate(1, &plain));
        gains[2].push(rate(2, &counted) / rate(1, &counted));
    }
    let [floor, plain, counted] = gains.map(median);
    println!("  floor {floor:.2} x, by name {plain:.2} x, counted {counted:.2} x (medians)");
    bars.at_least("local_path.two_threads.1000", plain / floor, 0.95);
    bars.at_least("local_path.two_threads_counted.1000", counted / floor, 0.95);
}
