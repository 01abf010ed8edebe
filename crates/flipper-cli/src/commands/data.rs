//! `data`.

use flipper::json::Value;

use super::edit::edit;
use super::read;
use crate::cli::{DataAction, DataArgs};
use crate::failure::{Code, Failure, Result};
use crate::pairs::object;
use crate::run::Run;
use crate::shape::plain;

pub(crate) async fn data(run: &mut Run, args: &DataArgs) -> Result<Code> {
    match &args.action {
        DataAction::Set { name, data, edit: flags } => {
            let data = object(data);
            edit(run, name, flags.dry_run, None, |flag| flag.merge_client_data(&data)).await
        }
        DataAction::Get { name, key } => get(run, name, key.as_deref()).await,
    }
}

async fn get(run: &mut Run, name: &str, key: Option<&str>) -> Result<Code> {
    let client = run.settings.open().await?;
    let data = read(&client, name).await?.client_data();
    let value = match (key, &data) {
        (None, data) => data.clone(),
        (Some(key), Value::Object(data)) if data.get(key).is_some() => {
            data.get(key).cloned().unwrap_or_default()
        }
        (Some(key), _) => {
            return Err(Failure::Told(Code::NotFound, format!("{name:?} has no data of the key {key:?}")));
        }
    };
    match (&value, key) {
        _ if run.out.is_json() => run.out.json(&plain(value))?,
        // One text is what a script wants, without quotes.
        (Value::String(text), Some(_)) => run.out.line(text.to_string_lossy())?,
        (Value::Object(data), None) => {
            for (key, value) in data.iter() {
                run.out.line(format_args!("{} = {value}", key.to_string_lossy()))?;
            }
        }
        _ => run.out.line(&value)?,
    }
    Ok(Code::Done)
}
