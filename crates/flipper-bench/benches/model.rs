//! Reading, writing and hashing: against `serde_json` on the same text, and SHA-1 of the same bytes.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::process::ExitCode;

use flipper_bench::{Bars, Race};
use flipper_core::json::Value;
use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx};
use sha1::{Digest, Sha1};

fn plain() -> Flag {
    let mut flag =
        Flag::new(FlagName::new("checkout-new-flow").unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(true).unwrap();
    flag
}

fn rich() -> Flag {
    let mut flag = plain();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.25).unwrap(), ["user_id"])).unwrap();
    for condition in [
        Condition::builder().eq("is_admin", true),
        Condition::builder().gt("number_of_horses_owned", 9000),
        Condition::builder().ne("location", "city"),
        Condition::builder().is_in("horse_type", ["Stallion", "Mare"]),
        Condition::builder().lte("age", 99.5),
    ] {
        flag.add_condition(&condition.build().unwrap()).unwrap();
    }
    let data = serde_json::json!({"owner": "horses@example.com", "ttl": 3600, "tags": ["beta", "eu"]});
    flag.merge_client_data(data.as_object().unwrap()).unwrap();
    flag
}

fn main() -> ExitCode {
    let mut bars = Bars::new();
    for (name, flag) in [("plain", plain()), ("rich", rich())] {
        let text = flag.as_json();
        let (serde, own) =
            (serde_json::from_str::<serde_json::Value>(text).unwrap(), Value::parse(text).unwrap());
        println!("{name}: {} bytes", text.len());
        let ns = Race::new()
            .subject("bytes -> serde_json::Value", || {
                Box::new(serde_json::from_slice::<serde_json::Value>(text.as_bytes()).unwrap())
            })
            .subject("bytes -> flag ready to evaluate", || {
                Box::new(Flag::from_json(text.as_bytes()).unwrap())
            })
            .subject("bytes -> editable tree", || Box::new(Value::parse(text).unwrap()))
            .subject("serde_json::to_string", || Box::new(serde_json::to_string(&serde).unwrap()))
            .subject("tree -> text", || Box::new(own.to_json()))
            .run();
        bars.at_most(&format!("model.read.{name}"), ns[1] / ns[0], 0.6);
        bars.at_most(&format!("model.tree.{name}"), ns[2] / ns[0], 1.2);
        bars.at_most(&format!("model.write.{name}"), ns[4] / ns[3], 1.2);
    }

    let mut hashed = plain();
    hashed.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5).unwrap(), ["user_id"])).unwrap();
    println!("consistent hash on one integer id");
    let mut id = 1_000_000_u64;
    let mut text = *b"[[\"user_id\", 1000000]]";
    let ns = Race::new()
        .subject("Sha1::digest of the same text", || {
            // As many different texts as the other subject has.
            text[19] = b'0' + text[19].wrapping_add(1) % 10;
            Sha1::digest(text)[0]
        })
        .subject("is_enabled", || {
            id = 1_000_000 + (id + 1) % 10;
            hashed.is_enabled(&ctx! { user_id: id })
        })
        .run();
    bars.at_most("model.hash", ns[1] / ns[0], 1.35);
    bars.finish()
}
