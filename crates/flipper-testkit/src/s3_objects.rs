//! What the S3 server keeps. The objects are `s3s-fs`'s, and their keys are kept here: it takes them for paths, lists no `ETag`, and
//! does not look at conditions and write as one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use s3s::dto::{
    CreateBucketInput, CreateBucketOutput, DeleteObjectInput, DeleteObjectOutput, ETag, ETagCondition,
    GetObjectInput, GetObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object, PutObjectInput,
    PutObjectOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::RwLock;

use crate::s3_server::{S3Conditions, S3Failure};

/// What a test tells the server, and is told.
#[derive(Debug, Default)]
pub(crate) struct Control(Mutex<Settings>);

#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) create: S3Conditions,
    pub(crate) replace: S3Conditions,
    pub(crate) delete: S3Conditions,
    /// What becomes of the next requests; `None` is nothing particular.
    pub(crate) outcomes: VecDeque<(&'static str, Option<S3Failure>)>,
    pub(crate) holds: HashMap<&'static str, Duration>,
    pub(crate) under_way: HashMap<&'static str, usize>,
    pub(crate) most_at_once: HashMap<&'static str, usize>,
    pub(crate) denied: Vec<(&'static str, &'static str, Option<String>)>,
    pub(crate) counts: HashMap<&'static str, usize>,
}

impl Control {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request, and says how it is to fail.
    fn enter<T>(
        &self,
        operation: &'static str,
        request: &S3Request<T>,
        key: &str,
    ) -> S3Result<Option<S3Failure>> {
        let mut settings = self.lock();
        *settings.counts.entry(operation).or_default() += 1;
        let user = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        let is_denied = |denied: &(&str, &str, Option<String>)| {
            Some(denied.0) == user
                && denied.1 == operation
                && denied.2.as_deref().is_none_or(|denied| denied == key)
        };
        if settings.denied.iter().any(is_denied) {
            return Err(s3_error!(AccessDenied));
        }
        let at = settings.outcomes.iter().position(|(of, _)| *of == operation);
        match at.and_then(|at| settings.outcomes.remove(at)).and_then(|(_, outcome)| outcome) {
            Some(failure) if failure.is_done => Ok(Some(failure)),
            Some(failure) => Err(failed(&failure)),
            None => Ok(None),
        }
    }

    /// Waits as long as a request is to be held.
    async fn hold(&self, operation: &'static str) {
        let time = {
            let mut settings = self.lock();
            let Some(time) = settings.holds.get(operation).copied() else { return };
            let count = settings.under_way.entry(operation).or_default();
            *count += 1;
            let count = *count;
            let most = settings.most_at_once.entry(operation).or_default();
            *most = count.max(*most);
            time
        };
        let _ends = Held(self, operation);
        tokio::time::sleep(time).await;
    }
}

/// A request that is held, also one whose client hangs up.
struct Held<'c>(&'c Control, &'static str);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.lock().under_way.entry(self.1).or_default() -= 1;
    }
}

fn failed(failure: &S3Failure) -> S3Error {
    let code = S3ErrorCode::from_bytes(failure.code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, failure.message.clone());
    error.set_status_code(hyper::StatusCode::from_u16(failure.status).expect("a status"));
    let headers = failure.headers.iter().map(|(name, value)| {
        (hyper::header::HeaderName::from_static(name), value.parse().expect("the value of a header"))
    });
    error.set_headers(headers.collect());
    error
}

fn after<T>(failure: Option<S3Failure>, output: T) -> S3Result<S3Response<T>> {
    match failure {
        Some(failure) => Err(failed(&failure)),
        None => Ok(S3Response::new(output)),
    }
}

/// Where the content of an object is, and what it is.
#[derive(Clone)]
struct Entry {
    file: String,
    etag: ETag,
    size: i64,
}

pub(crate) struct Objects {
    files: FileSystem,
    root: PathBuf,
    entries: RwLock<BTreeMap<(String, String), Entry>>,
    next: AtomicU64,
    control: Arc<Control>,
}

impl Objects {
    pub(crate) fn new(root: &Path, control: Arc<Control>) -> Self {
        let files = FileSystem::new(root).expect("a directory");
        let next = AtomicU64::new(0);
        Self { files, root: root.to_owned(), entries: RwLock::default(), next, control }
    }

    fn check_bucket(&self, name: &str) -> S3Result<()> {
        if self.root.join(name).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn drop_file(&self, bucket: &str, file: &str) {
        let _ = std::fs::remove_file(self.root.join(bucket).join(file));
    }
}

/// Whether a condition holds, or is not looked at.
fn check(
    condition: Option<&ETagCondition>,
    habit: S3Conditions,
    holds: impl Fn(&ETagCondition) -> S3Result<()>,
) -> S3Result<()> {
    match (condition, habit) {
        (None, _) | (Some(_), S3Conditions::Ignore) => Ok(()),
        (Some(_), S3Conditions::Reject) => Err(s3_error!(NotImplemented)),
        (Some(condition), S3Conditions::Honour) => holds(condition),
    }
}

fn is(entry: &Entry, condition: &ETagCondition) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => entry.etag.strong_cmp(etag),
    }
}

#[async_trait]
impl S3 for Objects {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.files.create_bucket(request).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let failure = self.control.enter("GetObject", &request, &request.input.key)?;
        self.control.hold("GetObject").await;
        let entries = self.entries.read().await;
        let at = (request.input.bucket.clone(), request.input.key.clone());
        let entry = entries.get(&at).cloned().ok_or_else(|| s3_error!(NoSuchKey))?;
        // Opened before anybody else writes.
        let got = self
            .files
            .get_object(request.map_input(|input| GetObjectInput { key: entry.file, ..input }))
            .await?;
        after(failure, GetObjectOutput { e_tag: Some(entry.etag), ..got.output })
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        self.check_bucket(&bucket)?;
        let failure = self.control.enter("PutObject", &request, &key)?;
        let (is_new, is_at) = (request.input.if_none_match.clone(), request.input.if_match.clone());
        let file = format!("o{}", self.next.fetch_add(1, Ordering::Relaxed));
        let content = request.map_input(|input| PutObjectInput {
            key: file.clone(),
            if_match: None,
            if_none_match: None,
            ..input
        });
        let put = self.files.put_object(content).await?.output;
        let size =
            std::fs::metadata(self.root.join(&bucket).join(&file)).map_err(S3Error::internal_error)?.len();
        let etag = put.e_tag.clone().ok_or_else(|| s3_error!(InternalError))?;
        self.control.hold("PutObject").await;
        let mut entries = self.entries.write().await;
        let (create, replace) = {
            let settings = self.control.lock();
            (settings.create, settings.replace)
        };
        let before = entries.get(&(bucket.clone(), key.clone()));
        // S3 takes no two conditions.
        let takes_no_two =
            [create, replace] == [S3Conditions::Honour; 2] && is_new.is_some() && is_at.is_some();
        let checked = check(is_new.as_ref(), create, |_| match before {
            Some(_) => Err(s3_error!(PreconditionFailed)),
            None => Ok(()),
        })
        .and_then(|()| if takes_no_two { Err(s3_error!(NotImplemented)) } else { Ok(()) })
        .and_then(|()| {
            check(is_at.as_ref(), replace, |condition| match before {
                None => Err(s3_error!(NoSuchKey)),
                Some(before) if is(before, condition) => Ok(()),
                Some(_) => Err(s3_error!(PreconditionFailed)),
            })
        });
        if let Err(error) = checked {
            self.drop_file(&bucket, &file);
            return Err(error);
        }
        let entry = Entry { file, etag, size: i64::try_from(size).unwrap_or(i64::MAX) };
        if let Some(before) = entries.insert((bucket.clone(), key), entry) {
            self.drop_file(&bucket, &before.file);
        }
        after(failure, put)
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, if_match, .. } = &request.input;
        self.check_bucket(bucket)?;
        let failure = self.control.enter("DeleteObject", &request, key)?;
        let at = (bucket.clone(), key.clone());
        self.control.hold("DeleteObject").await;
        let mut entries = self.entries.write().await;
        let habit = self.control.lock().delete;
        check(if_match.as_ref(), habit, |condition| match entries.get(&at) {
            // As documented: "if the ETag matches or if the object doesn't exist".
            None => Ok(()),
            Some(entry) if is(entry, condition) => Ok(()),
            Some(_) => Err(s3_error!(PreconditionFailed)),
        })?;
        if let Some(entry) = entries.remove(&at) {
            self.drop_file(&at.0, &entry.file);
        }
        after(failure, DeleteObjectOutput::default())
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let ListObjectsV2Input { bucket, prefix, continuation_token, max_keys, encoding_type, .. } =
            &request.input;
        self.check_bucket(bucket)?;
        let failure = self.control.enter("ListObjectsV2", &request, prefix.as_deref().unwrap_or_default())?;
        self.control.hold("ListObjectsV2").await;
        let is_encoded = encoding_type.as_ref().is_some_and(|encoding| encoding.as_str() == "url");
        let shown = |key: &str| if is_encoded { encoded(key) } else { key.to_owned() };
        let count = max_keys.and_then(|count| usize::try_from(count).ok()).unwrap_or(1_000).min(1_000);
        let prefix = prefix.clone().unwrap_or_default();
        let from = match continuation_token {
            Some(token) => Bound::Excluded((bucket.clone(), token.clone())),
            None => Bound::Included((bucket.clone(), prefix.clone())),
        };
        let entries = self.entries.read().await;
        let all = entries.range((from, Bound::Unbounded));
        let mut all = all.take_while(|((of, key), _)| of == bucket && key.starts_with(&prefix)).peekable();
        let (mut contents, mut last) = (Vec::new(), None);
        while contents.len() < count
            && let Some(((_, key), entry)) = all.next()
        {
            let (e_tag, size) = (Some(entry.etag.clone()), Some(entry.size));
            contents.push(Object { key: Some(shown(key)), e_tag, size, ..Object::default() });
            last = Some(key.clone());
        }
        let is_truncated = all.peek().is_some();
        let output = ListObjectsV2Output {
            key_count: i32::try_from(contents.len()).ok(),
            contents: Some(contents),
            encoding_type: encoding_type.clone(),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            ..ListObjectsV2Output::default()
        };
        after(failure, output)
    }
}

/// As S3 does it: all but letters, digits and a few others, and a plus for a space.
pub(crate) fn encoded(key: &str) -> String {
    let mut encoded = String::new();
    for byte in key.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.*/".contains(&byte) => {
                encoded.push(char::from(byte));
            }
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}
