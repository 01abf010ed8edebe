//! From a call to its answer.

use flipper_core::{
    CompareAndSet, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Version, Versioned,
};
use futures_lite::StreamExt;

use super::legacy;
use super::memory::Share;
use super::serve::Service;
use crate::wire::{
    Call, Description, Exception, Expectation, Fault, Item, Kind, Reader, Reply, WireVersion, Writer,
    begin_list, end_list, write_reply,
};

/// How much reading a message takes, at most, as a multiple of its length: two bytes of JSON can be a value of 32, found by an entry of 16.
const READING: usize = 32;

/// How much a check of a condition takes besides, as what it is made from and what it becomes.
const CHECK: usize = 1 << 10;

/// How often a listing that grows looks for memory.
const STEP: usize = 64 << 10;

/// Answers a message, which is all there. Returns what is to be sent, and whether the connection is over then.
pub(crate) async fn answer(
    service: &Service,
    message: &[u8],
    mut out: Writer,
    share: &mut Share,
) -> (Vec<u8>, bool) {
    let mut reader = Reader::new(message);
    let header = match reader.header() {
        Ok(header) => header,
        Err(fault) => return malformed("", 0, &fault, out),
    };
    if header.kind != Kind::Call {
        // Who sends it does not wait for an answer, and would take one for that of a later call.
        return (Vec::new(), true);
    }
    let reading = message.len().saturating_mul(READING);
    let read = match share.cover(reading) {
        Ok(()) => Call::read(header.method, &mut reader),
        Err(fault) => {
            write_reply(header.method, header.number, &failed(&unavailable(&fault)), &mut out);
            return (out.finish(), false);
        }
    };
    let reading = reading.saturating_add(reader.elements().saturating_mul(CHECK));
    // What was sent is shown to its sender only, who knows it.
    let method = header.method;
    let call = match read {
        Ok(Some(call)) => call,
        Ok(None) => {
            write_reply(method, header.number, &Reply::UnknownMethod, &mut out);
            return (out.finish(), false);
        }
        Err(fault) => return malformed(method, header.number, &fault, out),
    };
    let is_write = call.is_write();
    let answered = match share.cover(reading) {
        Err(fault) => Err(unavailable(&fault)),
        Ok(()) => match call {
            Call::List { limit, offset, with_record } => {
                let at = begin_list(header.number, &mut out);
                list(service, legacy::page(limit, offset), with_record, &mut out, share)
                    .await
                    .map(|count| end_list(count, at, &mut out))
            }
            call => carry_out(service, call).await.and_then(|reply| {
                write_reply(method, header.number, &reply, &mut out);
                let fits = if out.len() > service.limits.reply {
                    Err(too_long(service.limits.reply))
                } else {
                    share.cover(reading.saturating_add(out.len())).map_err(|fault| unavailable(&fault))
                };
                // What was done is not undone for want of words.
                fits.map_err(|error| if is_write { done_all_the_same(&error) } else { error })
            }),
        },
    };
    if let Err(error) = answered {
        if error.kind() == ErrorKind::Internal {
            log::error!(target: "flipper::thrift", "{method}: {error}");
        }
        out = out.restart();
        write_reply(method, header.number, &failed(&error), &mut out);
    }
    (out.finish(), false)
}

fn failed(error: &Error) -> Reply {
    Reply::Failed(Exception::from(error))
}

fn done_all_the_same(error: &Error) -> Error {
    let message = format!("the change was made, and cannot be answered: {}", error.message());
    Error::new(ErrorKind::OutcomeUnknown, message)
}

/// The length of a message is right, and what is in it is not.
fn malformed(method: &str, number: i32, fault: &Fault, mut out: Writer) -> (Vec<u8>, bool) {
    let reply = Reply::Broken(format!("this is no message of Thrift's binary protocol: {fault}"));
    write_reply(method, number, &reply, &mut out);
    (out.finish(), true)
}

fn unavailable(fault: &Fault) -> Error {
    Error::new(ErrorKind::Unavailable, fault.to_string())
}

fn too_long(limit: usize) -> Error {
    let message = format!("the answer has more than {limit} bytes: ask for a part, by limit and offset");
    Error::new(ErrorKind::Unsupported, message)
}

async fn carry_out(service: &Service, call: Call) -> Result<Reply> {
    if service.is_read_only && call.is_write() {
        return Err(Error::new(ErrorKind::PermissionDenied, "this server lets nobody change anything"));
    }
    let client = &service.client;
    match call {
        Call::Create { name, is_enabled, client_data } => {
            legacy::create(client, &name, is_enabled, client_data).await
        }
        Call::Get { name, with_record: false } => legacy::get(client, &name).await,
        Call::Get { name, with_record: true } => {
            let name = flag_name(&name)?;
            match client.store().get(name).await? {
                Some(found) => Ok(Reply::Item(Box::new(record(name.as_str(), &found)))),
                None => Err(not_found(name)),
            }
        }
        Call::Set { name, is_enabled } => legacy::set(client, &name, is_enabled).await,
        Call::Delete { name } => legacy::delete(client, &name).await,
        Call::SetMeta { name, meta } => legacy::set_meta(client, &name, &meta).await,
        Call::Put { name, record, expectation } => {
            let name = flag_name(&name)?;
            let flag = Flag::read(name, &record)
                .map_err(|error| Error::new(ErrorKind::InvalidInput, error.message().to_owned()))?;
            let version = expectation_of(expectation)?;
            let version = client.put(&flag, version.expect()).await?;
            Ok(Reply::Version(WireVersion::of(&version, flag.as_json().as_bytes())))
        }
        Call::Remove { name, expectation } => {
            let name = flag_name(&name)?;
            let version = expectation_of(expectation)?;
            Ok(Reply::WasThere(client.delete(name.as_str(), version.expect()).await?))
        }
        Call::Describe => {
            let capabilities = client.capabilities();
            Ok(Reply::Description(Description {
                puts_atomically: capabilities.conditional_put == CompareAndSet::Atomic,
                removes_atomically: capabilities.conditional_delete == CompareAndSet::Atomic,
                is_read_only: service.is_read_only,
                longest: i64::try_from(service.limits.request).ok(),
            }))
        }
        // Is written while it is read.
        Call::List { .. } => Err(Error::new(ErrorKind::Internal, "a listing is answered elsewhere")),
    }
}

/// Writes the items of a listing as they come, and returns how many there are.
async fn list(
    service: &Service,
    page: Option<Page>,
    with_record: bool,
    out: &mut Writer,
    share: &mut Share,
) -> Result<usize> {
    let Some(page) = page else { return Ok(0) };
    let mut listing = service.client.store().list(page);
    let (mut count, mut covered) = (0, 0);
    while let Some(listed) = listing.next().await {
        let item = match listed? {
            Listed::Flag(found) if with_record => record(found.value.name(), &found),
            Listed::Flag(found) => match legacy::listed(&found.value) {
                Ok(item) => item,
                Err(error) => {
                    left_out(found.value.name(), &error);
                    continue;
                }
            },
            Listed::Bad { name, error, .. } if with_record => bad(&name, &error),
            Listed::Bad { name, error, .. } => {
                left_out(&name, &error);
                continue;
            }
            _ => continue,
        };
        item.write(out);
        count += 1;
        if out.len() > service.limits.reply {
            return Err(too_long(service.limits.reply));
        }
        if out.len() >= covered + STEP {
            covered = out.len();
            // Twice, as it has moved to where there is more room.
            share.cover(2 * (covered + STEP)).map_err(|fault| unavailable(&fault))?;
        }
    }
    Ok(count)
}

/// flipper-client's `list` fails as a whole where it meets what it cannot read.
fn left_out(name: &str, error: &Error) {
    log::warn!(target: "flipper::thrift", "{name:?} is left out of a listing: {error}");
}

fn record(name: &str, found: &Versioned<Flag>) -> Item {
    let text = found.value.as_json().as_bytes();
    Item {
        name: Some(name.as_bytes().to_vec()),
        is_enabled: Some(found.value.is_switched_on()),
        version: Some(WireVersion::of(&found.version, text)),
        record: Some(text.to_vec()),
        ..Item::default()
    }
}

fn bad(name: &str, error: &Error) -> Item {
    Item { name: Some(name.as_bytes().to_vec()), problem: Some(error.into()), ..Item::default() }
}

pub(super) fn flag_name(bytes: &[u8]) -> Result<FlagName<'_>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "a flag's name is UTF-8"))?;
    FlagName::new(text)
}

pub(super) fn not_found(name: FlagName<'_>) -> Error {
    Error::new(ErrorKind::NotFound, format!("no such flag: {name}"))
}

/// An expectation that owns its version.
enum Expected {
    Anything,
    Nothing,
    Version(Version),
}

fn expectation_of(expectation: Expectation) -> Result<Expected> {
    Ok(match expectation {
        Expectation::Anything => Expected::Anything,
        Expectation::Nothing => Expected::Nothing,
        Expectation::Unknown => {
            let message = "this server does not know such an expectation";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        // One that is none of this server's is that of no state.
        Expectation::Version(version) => Expected::Version(
            version
                .decode()
                .ok_or_else(|| Error::new(ErrorKind::Conflict, "the flag is not in the expected state"))?,
        ),
    })
}

impl Expected {
    fn expect(&self) -> Expect<'_> {
        match self {
            Self::Anything => Expect::Any,
            Self::Nothing => Expect::Absent,
            Self::Version(version) => Expect::Matches(version),
        }
    }
}
