//! One check, of every kind.

use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};
use std::time::Duration;

use flipper_bench::{Bars, Race, Shuffled};
use flipper_core::{Bucketer, Context, FeatureFlagClient, LocalClient, Percentage, Timestamp, ctx};
use sha1::{Digest, Sha1};

use crate::flags::{self, Floor};

/// So many names are checked over and over where all flags do not fit into the cache with their rules.
const HOT: usize = 1_000;

/// Checks of flags without rules; returns the floor in nanoseconds.
pub fn plain(count: usize, bars: &mut Bars) -> f64 {
    println!("{count} flags that are on or off");
    let names = flipper_bench::names(count);
    let absent: Vec<Box<str>> = names.iter().map(|name| format!("{name}x").into()).collect();
    let (floor, local) = (Floor::new(&names), flags::client(&names, flags::plain));
    // Among more flags than a meter counts by their names there is nothing to compare, and its flags would be in the way of the others'.
    let metered = (count <= HOT).then(|| flags::metered(&names, flags::plain));
    let client = local.client().clone();
    let mut handles: Vec<_> = names.iter().map(|name| local.flag(name.clone())).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut handles);
    let mut handles = handles.iter().cycle();

    let mut read = floor.reader();
    let mut orders = std::array::from_fn::<_, 5, _>(|_| Shuffled::new(&names));
    let [for_floor, for_plain, for_context, for_client, for_metered] = &mut orders;
    let mut for_miss = Shuffled::new(&absent);
    let race = Race::new()
        .over(count)
        // Where most of the time goes into waiting for memory, which neighbours use as well, quiet rounds are rare.
        .more_rounds(if count > HOT { 8 } else { 1 })
        .subject("floor: Cache<ArcSwap<HashMap>>, flag read", || read(for_floor.pick()))
        .subject("by name, empty context", || local.is_enabled(for_plain.pick(), &Context::EMPTY))
        .subject("by name, context of three attributes", || {
            let context = ctx! { user_id: for_context.at(), plan: "gold", is_admin: false };
            local.is_enabled(for_context.pick(), &context)
        })
        .subject("by handle", || handles.next().unwrap().is_enabled(&Context::EMPTY))
        .subject("by name, no such flag", || local.is_enabled(for_miss.pick(), &Context::EMPTY))
        .subject("client.is_enabled(..).await", || poll(&client, for_client.pick()));
    let ns = match &metered {
        Some(metered) => {
            race.subject("by name, counted", || metered.is_enabled(for_metered.pick(), &Context::EMPTY)).run()
        }
        None => race.run(),
    };
    let &[floor, plain, context, handle, miss, client, ref counted @ ..] = &ns[..] else { return f64::NAN };
    bars.at_most(&format!("local_path.plain.{count}"), plain / floor, 1.4);
    bars.at_most(&format!("local_path.context.{count}"), context - plain, 3.0);
    bars.at_most(&format!("local_path.handle.{count}"), handle / floor, 0.3);
    bars.at_most(&format!("local_path.miss.{count}"), miss / floor, 1.4);
    bars.at_most(&format!("local_path.async.{count}"), client - plain, 10.0);
    if let [counted] = counted {
        bars.at_most(&format!("local_path.counted.{count}"), counted - floor, 5.0);
    }
    floor
}

/// Polls once: a check in memory is ready then.
#[inline]
fn poll(client: &FeatureFlagClient, name: &str) -> bool {
    let check = pin!(client.is_enabled(name, &Context::EMPTY));
    check.poll(&mut Task::from_waker(Waker::noop())) == Poll::Ready(true)
}

/// Checks of flags with rules.
pub fn rules(count: usize, floor_of_all: f64, bars: &mut Bars) {
    let names = flipper_bench::names(count);
    // Side by side, as the literals of a program are.
    let hot: Vec<_> = fastrand::Rng::with_seed(8).choose_multiple(names.iter().cloned(), count.min(HOT));
    println!("{count} flags with rules, {} of them checked", hot.len());
    let start = Timestamp::now();
    let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_hours(1), start).unwrap();
    let percentage = Bucketer::percentage(flags::half());
    let (hash, ramp) = (Bucketer::consistent_hash(flags::half(), ["user_id"]), Bucketer::percentage(ramp));
    let floor = Floor::new(&names);
    let one = flags::client(&names, |name| flags::with_conditions(name, 1));
    let five = flags::client(&names, |name| flags::with_conditions(name, 5));
    let [hash, percentage, ramp] = [hash, percentage, ramp]
        .map(|bucketer| flags::client(&names, |name| flags::with_bucketer(name, &bucketer)));

    let mut orders = std::array::from_fn::<_, 6, _>(|_| Shuffled::new(&hot));
    let [for_floor, for_one, for_five, for_hash, for_percentage, for_ramp] = &mut orders;
    let mut handles: Vec<_> = hot.iter().map(|name| one.flag(name.clone())).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut handles);
    let mut handles = handles.iter().cycle();
    let mut read = floor.reader();
    let mut id = 0_u64;
    let mut digits = *b"[[\"user_id\", 1000000]]";
    let with_one = |local: &LocalClient, name: &str| local.is_enabled(name, &ctx! { plan: "gold" });
    let ns = Race::new()
        .over(hot.len())
        .subject("floor", || read(for_floor.pick()))
        .subject("one condition", || with_one(&one, for_one.pick()))
        .subject("one condition, by handle", || handles.next().unwrap().is_enabled(&ctx! { plan: "gold" }))
        .subject("five conditions", || {
            let context =
                ctx! { plan: "gold", age: 20, location: "land", horse_type: "Mare", is_admin: true };
            five.is_enabled(for_five.pick(), &context)
        })
        .subject("Sha1::digest of the text that is hashed", || {
            digits[19] = b'0' + digits[19].wrapping_add(1) % 10;
            Sha1::digest(digits)[0]
        })
        .subject("consistent hash on an integer", || {
            id = (id + 1) % 10;
            hash.is_enabled(for_hash.pick(), &ctx! { user_id: 1_000_000 + id })
        })
        .subject("percentage", || percentage.is_enabled(for_percentage.pick(), &Context::EMPTY))
        .subject("linear ramp", || ramp.is_enabled(for_ramp.pick(), &Context::EMPTY))
        .run();
    let &[floor, one, by_handle, five, sha1, hash, percentage, ramp] = &ns[..] else { return };
    println!("  (floor over all names: {floor_of_all:.1} ns)");
    bars.at_most(&format!("local_path.one_condition.{count}"), one - floor, 20.0);
    bars.at_most(&format!("local_path.one_condition_by_handle.{count}"), by_handle / one, 1.15);
    bars.at_most(&format!("local_path.five_conditions.{count}"), five - floor, 65.0);
    bars.at_most(&format!("local_path.hash.{count}"), hash / (floor + sha1), 1.35);
    bars.at_most(&format!("local_path.percentage.{count}"), percentage - floor, 10.0);
    bars.at_most(&format!("local_path.ramp.{count}"), ramp - floor, 35.0);
}
