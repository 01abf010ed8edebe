//! Who changed what: an audit log, what it says of the past, and what it takes to alter it unnoticed.
//!
//! Run it with `cargo run --example audit_log`.

use flipper::audit::{AuditLog, History, Verifier};
use flipper::{Condition, FeatureFlagClient, MemoryStore, Semantics, Timestamp, ctx};

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let path = std::env::temp_dir().join(format!("audit-{}.jsonl", std::process::id()));
    let client = FeatureFlagClient::new(MemoryStore::new());
    let log = AuditLog::builder().redact(["email"]).key("in earnest, 32 random bytes").open(&path)?;
    log.subscribe_to(&client);

    let alice = client.as_actor("alice");
    alice.create_with("CHECKOUT", false, [("email", "alice@example.com")]).await?;
    alice.enable("CHECKOUT").await?;
    let then = Timestamp::now();
    client
        .as_actor("bob")
        .add_condition("CHECKOUT", &Condition::builder().eq("plan", "gold").build()?)
        .await?;

    println!("What has happened:");
    for entry in History::of(&path).entries()? {
        let entry = entry?;
        let Some(record) = entry.record() else { continue };
        let actor = record.actor.as_deref().unwrap_or("somebody");
        println!("#{}: {} of {} by {actor}", entry.number(), record.events.join(", "), record.flag);
        for difference in &record.difference {
            println!("    {} is another one", difference.path);
        }
    }

    println!("\nWhat the flag said before bob's change:");
    let state = History::of(&path).state_at("CHECKOUT", then)?;
    if let Some(explanation) = state.explain(&ctx! { plan: "lead" }, Semantics::Documented) {
        print!("{explanation}");
    }

    // Kept where nobody who can write the log can write.
    let head = log.head();
    let verifier = Verifier::new(&path).key("in earnest, 32 random bytes").head(head);
    println!("\nIs it as it was written? {}", verifier.run()?.is_intact());

    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::write(&path, text.replace("\"actor\":\"bob\"", "\"actor\":\"alice\""));
    if let Some(damage) = verifier.run()?.damage {
        println!("Somebody has put the blame on alice: {damage}");
    }
    let _ = std::fs::remove_file(&path);
    Ok(())
}
