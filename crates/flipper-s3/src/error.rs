//! What goes wrong, in our terms.
//!
//! Codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use std::error::Error as StdError;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use flipper_core::{Error, ErrorKind};

/// What an answer that is lost leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// For a listing.
    Read,
    /// For one object, with which something may be wrong that is wrong with no other.
    Object,
    Write,
}

/// What has come of a request that has failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no such object.
    Missing,
    /// The condition does not hold.
    Refused,
    /// The server knows no such condition.
    Unsupported,
    /// It was turned away before anything was done, and may succeed if it is sent once more.
    Again(Error),
    /// This one object cannot be read.
    Unreadable(Error),
    Other(Error),
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_store("s3")
}

/// What is not answered: a read has no effect, a write may have happened.
pub(crate) fn unanswered(asked: Asked, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    match asked {
        Asked::Read | Asked::Object => error(ErrorKind::Unavailable, message),
        Asked::Write => error(ErrorKind::OutcomeUnknown, message),
    }
}

impl Failure {
    /// The error of a request for which none of this is expected.
    pub(crate) fn into_error(self, asked: Asked) -> Error {
        match self {
            Self::Again(error) | Self::Unreadable(error) | Self::Other(error) => error,
            Self::Missing => no_s3(asked),
            Self::Refused => {
                error(ErrorKind::Conflict, "the flag has changed, or there is none, or there is one already")
            }
            Self::Unsupported => error(ErrorKind::Unsupported, "the server cannot do that"),
        }
    }

    /// Translates an error of the SDK. Nothing that a server says stands in it but codes and numbers: a server might send back what it
    /// was sent, and the SDK's own errors would show it.
    pub(crate) fn of<E>(failure: &SdkError<E, HttpResponse>, asked: Asked) -> Self
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let request = failure
            .request_id()
            .and_then(request_number)
            .map(|id| format!(" (request {id})"))
            .unwrap_or_default();
        match failure {
            SdkError::ServiceError(answer) => {
                let code = answer.err().code().and_then(code).unwrap_or_default();
                let region = answer.raw().headers().get("x-amz-bucket-region").and_then(region);
                of_code(answer.raw().status().as_u16(), code, region, &request, asked)
            }
            SdkError::ConstructionFailure(_) => Self::Other(error(
                ErrorKind::InvalidInput,
                "the request cannot be made: look at the bucket's name, and whether the client has a region and credentials",
            )),
            SdkError::TimeoutError(_) => {
                Self::Other(unanswered(asked, "the server has not answered in time"))
            }
            SdkError::DispatchFailure(dispatch) => {
                Self::Other(of_dispatch(failure, dispatch.as_connector_error(), asked))
            }
            _ => Self::Other(unanswered(asked, format!("the server's answer cannot be read{request}"))),
        }
    }
}

pub(crate) fn causes<'e>(
    failure: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    // Of the cause itself, and not of the reference to it, which is an error as well.
    std::iter::successors(Some(failure), |cause| <dyn StdError>::source(*cause))
}

/// What was not answered, or not even sent.
fn of_dispatch(failure: &(dyn StdError + 'static), cause: Option<&ConnectorError>, asked: Asked) -> Error {
    if causes(failure).any(<dyn StdError>::is::<CredentialsError>) {
        // What it says stays where it is: nobody knows what the provider has put into it.
        return error(ErrorKind::PermissionDenied, "the client has no credentials, or could not load them");
    }
    let failed = if cause.is_some_and(ConnectorError::is_user) {
        error(ErrorKind::InvalidInput, "the request cannot be made with the settings of the client")
    } else if is_unconnected(failure) {
        error(ErrorKind::Unavailable, "there is no server, or it takes no connections")
    } else {
        unanswered(asked, "the connection was lost, or could not be made")
    };
    // The first two say only what is known.
    let why: Vec<_> = causes(failure).skip(2).map(ToString::to_string).collect();
    if why.is_empty() { failed } else { failed.with_source(why.join(": ")) }
}

/// Whether the server was never reached.
fn is_unconnected(failure: &(dyn StdError + 'static)) -> bool {
    causes(failure).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        matches!(
            cause.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        )
    })
}

/// A code of an error, if it looks like one: `NoSuchKey`, `KMS.DisabledException`.
fn code(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'.';
    (text.len() <= 48 && text.bytes().all(is_plain)).then_some(text)
}

/// The number of a request, as S3 gives it.
fn request_number(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (text.len() == 16 && text.bytes().all(is_plain)).then_some(text)
}

/// A region, as those of S3 are called: `eu-west-1`, `us-gov-east-1`.
fn region(text: &str) -> Option<&str> {
    let mut words = text.split('-');
    let is_first = words.next().is_some_and(|word| (2..=3).contains(&word.len()));
    let is_last = words
        .next_back()
        .is_some_and(|word| word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_digit()));
    let is_word = |word: &str| word.len() <= 9 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_first && is_last && text.len() <= 24 && words.all(is_word)).then_some(text)
}

fn of_code(status: u16, code: &str, region: Option<&str>, request: &str, asked: Asked) -> Failure {
    let other = |kind, message: &str| Failure::Other(error(kind, format!("{message}{request}")));
    let coded = |message: &str| match code {
        "" => format!("{message}: it has answered {status}{request}"),
        code => format!("{message}: {code}, {status}{request}"),
    };
    match code {
        "NoSuchKey" => return Failure::Missing,
        "PreconditionFailed" => return Failure::Refused,
        "NotImplemented" => return Failure::Unsupported,
        "ConditionalRequestConflict" | "OperationAborted" => {
            let message = "another write of the same object is under way";
            let kind = if asked == Asked::Write { ErrorKind::Conflict } else { ErrorKind::Unavailable };
            return other(kind, message);
        }
        "NoSuchBucket" => {
            return other(ErrorKind::InvalidInput, "there is no such bucket: create it, or correct its name");
        }
        "InvalidBucketName" => return other(ErrorKind::InvalidInput, "no bucket can have that name"),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "NotSignedUp" => {
            return Failure::Unreadable(error(
                ErrorKind::PermissionDenied,
                coded("the credentials do not allow it"),
            ));
        }
        "InvalidObjectState" => {
            let message = "the object is archived, and has to be restored before it can be read";
            return Failure::Unreadable(error(ErrorKind::Unsupported, format!("{message}{request}")));
        }
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            return other(
                ErrorKind::PermissionDenied,
                "the credentials have expired: give the client fresh ones",
            );
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidSecurity"
        | "InvalidClientTokenId" => {
            return Failure::Other(error(ErrorKind::PermissionDenied, coded("the credentials are wrong")));
        }
        "RequestTimeTooSkewed" => {
            let message = "this machine's clock differs too much from the server's: set it";
            return Failure::Again(error(ErrorKind::PermissionDenied, format!("{message}{request}")));
        }
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "Redirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => return elsewhere(region, request),
        "SlowDown" | "RequestLimitExceeded" | "TooManyRequests" | "BandwidthLimitExceeded" => {
            return Failure::Again(error(ErrorKind::Unavailable, coded("the server has too much to do")));
        }
        // Also that of the service that keeps the key of an object.
        _ if code.contains("Throttl") => {
            return Failure::Again(error(ErrorKind::Unavailable, coded("the server has too much to do")));
        }
        _ if code.starts_with("KMS.") => {
            return Failure::Unreadable(error(
                ErrorKind::PermissionDenied,
                coded("the object's key cannot be used"),
            ));
        }
        // It has not heard all that was sent.
        "RequestTimeout" => {
            return Failure::Again(error(ErrorKind::Unavailable, coded("the server has waited too long")));
        }
        _ => {}
    }
    match status {
        300..=399 => elsewhere(region, request),
        412 => Failure::Refused,
        501 => other(ErrorKind::Unsupported, "what answers cannot do that"),
        429 => Failure::Again(error(ErrorKind::Unavailable, coded("the server has too much to do"))),
        401 | 407 => Failure::Other(error(ErrorKind::PermissionDenied, coded("the server refuses"))),
        403 => Failure::Unreadable(error(ErrorKind::PermissionDenied, coded("the server refuses"))),
        // It is there, and what tells of it makes no sense.
        200..=299 if asked == Asked::Object => {
            let message = "the answer about the object cannot be read";
            Failure::Unreadable(error(ErrorKind::Unsupported, format!("{message}{request}")))
        }
        404 => Failure::Other(unanswered(asked, "what answers is no S3 server (404)")),
        409 => Failure::Other(error(ErrorKind::Unavailable, coded("the server is busy with the bucket"))),
        400..=499 if status != 408 => {
            Failure::Unreadable(error(ErrorKind::InvalidInput, coded("the server does not accept it")))
        }
        _ => Failure::Other(unanswered(asked, coded("the server has failed"))),
    }
}

fn elsewhere(region: Option<&str>, request: &str) -> Failure {
    let message = match region {
        Some(region) => format!("the bucket is in the region {region}: give that to the client{request}"),
        None => format!("the bucket is in another region, or at another address, than the client's{request}"),
    };
    Failure::Other(error(ErrorKind::InvalidInput, message))
}

pub(crate) fn no_runtime() -> Error {
    error(ErrorKind::Unsupported, "this store needs a Tokio runtime: call it from inside of one")
}

pub(crate) fn no_s3(asked: Asked) -> Error {
    unanswered(asked, "what answers is no S3 server: its answer makes no sense")
}
