//! What is done to requests before they are signed, and to answers before they are read.

use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextMut,
    BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use http_body_util::Limited;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::api::LARGEST;

/// What stands for a key that the SDK takes for none.
const STAND_IN: &str = "flipper-stand-in";
/// The largest answer that is read, in bytes: the SDK reads listings and errors to their end, if they have one.
const LARGEST_ANSWER: usize = LARGEST + (1 << 20);

/// A key that the SDK takes.
pub(crate) fn accepted(key: &str) -> &str {
    if is_blank(key) { STAND_IN } else { key }
}

fn is_blank(key: &str) -> bool {
    key.trim().is_empty()
}

/// Sees to it that a request is about the key that was meant, and that its answer ends.
#[derive(Debug)]
pub(crate) struct Guard {
    /// A key of nothing but spaces, as it is in a URI.
    blank: Option<String>,
    is_listing: bool,
}

impl Guard {
    pub(crate) fn of_listing() -> Self {
        Self { blank: None, is_listing: true }
    }

    pub(crate) fn of_key(key: &str) -> Self {
        let blank = is_blank(key).then(|| utf8_percent_encode(key, NON_ALPHANUMERIC).to_string());
        Self { blank, is_listing: false }
    }
}

/// Puts a key in the place of what stands for it, at the end of the path.
fn with_key(uri: &str, key: &str) -> Option<String> {
    let (path, query) = uri.split_at(uri.find('?').unwrap_or(uri.len()));
    let path = path.strip_suffix(STAND_IN).filter(|path| path.ends_with('/'))?;
    Some(format!("{path}{key}{query}"))
}

/// Whether an answer is there to its end: to the parser, one that breaks off is one that ends.
fn is_whole(listing: &[u8]) -> bool {
    listing.trim_ascii_end().ends_with(b"ListBucketResult>")
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "flipper"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(key) = &self.blank {
            let request = context.request_mut();
            let uri = with_key(request.uri(), key).ok_or("the key is not at the end of the path")?;
            request.set_uri(uri)?;
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, LARGEST_ANSWER));
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let is_cut = || answer.body().bytes().is_none_or(|listing| !is_whole(listing));
        if self.is_listing && answer.status().is_success() && is_cut() {
            return Err("the listing has broken off".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_at_the_end_of_the_path_only() {
        for (uri, expected) in [
            ("http://h/bucket/flipper-stand-in?x-id=GetObject", Some("http://h/bucket/%20?x-id=GetObject")),
            ("http://flipper-stand-in.h/flipper-stand-in", Some("http://flipper-stand-in.h/%20")),
            (
                "http://h/flipper-stand-in/flipper-stand-in?a=flipper-stand-in",
                Some("http://h/flipper-stand-in/%20?a=flipper-stand-in"),
            ),
            ("http://h/flipper-stand-in/other", None),
            ("http://h/bucket/my-flipper-stand-in", None),
        ] {
            assert_eq!(with_key(uri, "%20").as_deref(), expected);
        }
    }
}
