//! The client and its events, over the memory store and over one that fails as it is told.

mod concurrency;
mod events;
mod faults;
mod outcomes;
mod verbs;

use flipper_core::{Bucketer, Condition, FeatureFlagClient, Percentage, Result};
use serde_json::{Map, Value, json};

/// The verbs that change a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Create,
    CreateOrReplace,
    Enable,
    Disable,
    Destroy,
    SetClientData,
    AddCondition,
    SetConditions,
    SetBucketer,
    Update,
}

const VERBS: [Verb; 10] = [
    Verb::Create,
    Verb::CreateOrReplace,
    Verb::Enable,
    Verb::Disable,
    Verb::Destroy,
    Verb::SetClientData,
    Verb::AddCondition,
    Verb::SetConditions,
    Verb::SetBucketer,
    Verb::Update,
];

fn object(json: &Value) -> &Map<String, Value> {
    json.as_object().unwrap()
}

fn condition() -> Condition {
    Condition::builder().gt("n", 5).build().unwrap()
}

impl Verb {
    async fn run(self, client: &FeatureFlagClient, name: &str) -> Result<()> {
        match self {
            Self::Create => client.create(name).await.map(drop),
            Self::CreateOrReplace => {
                client.create_or_replace(name, true, object(&json!({"new": 1}))).await.map(drop)
            }
            Self::Enable => client.enable(name).await,
            Self::Disable => client.disable(name).await,
            Self::Destroy => client.destroy(name).await,
            Self::SetClientData => client.set_client_data(name, object(&json!({"k": 1}))).await,
            Self::AddCondition => client.add_condition(name, &condition()).await,
            Self::SetConditions => client.set_conditions(name, &[condition(), condition()]).await,
            Self::SetBucketer => {
                client.set_bucketer(name, &Bucketer::percentage(Percentage::new(0.5).unwrap())).await
            }
            Self::Update => client.update(name, |flag| flag.add_condition(&condition())).await,
        }
    }
}
