//! The flag: its stored bytes, and the rules read from them.

mod edit;
mod python;
mod read;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::evaluate::Rules;
use crate::json::{self, Document, Node, Value};
use crate::{
    Bucketer, Condition, Context, Evaluation, Evaluator, Explanation, FlagName, Result, Timestamp, Version,
};

/// Holds one flag: the bytes as they are stored, and the rules that they state, ready to evaluate.
///
/// The bytes are the truth. Reading keeps them as they are; an edit replaces what it is about and nothing else, so
/// that fields, operators, number formats and key orders of other writers survive. A clone shares them. They are flipper-client's: one
/// JSON object `{"feature_name", "is_enabled", "meta": {"client_data", "created_date", "conditions", "bucketer"}}`
/// in [Python's dialect](crate::json).
///
/// # Examples
///
/// Read what flipper-client has written, and check it:
///
/// ```
/// use flipper_core::{Flag, ctx};
///
/// let stored = br#"{"feature_name": "X", "is_enabled": true, "meta": {"client_data": {}, "created_date": 1700000000,
///     "conditions": [{"is_admin": [{"variable": "is_admin", "value": true, "operator": null}]}],
///     "bucketer": {"type": "NoOpBucketer"}}}"#;
/// let flag = Flag::from_json(stored)?;
/// assert!(flag.is_enabled(&ctx! { is_admin: true }));
/// assert!(!flag.is_enabled(&ctx! { is_admin: false }));
/// # Ok::<(), flipper_core::Error>(())
/// ```
///
/// Make one, and edit it:
///
/// ```
/// use flipper_core::{Bucketer, Condition, Flag, FlagName, Percentage, Timestamp, ctx};
///
/// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
/// flag.set_enabled(true)?;
/// flag.add_condition(&Condition::builder().gte("age", 18).build()?)?;
/// flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]))?;
/// assert!(flag.is_enabled(&ctx! { user_id: 1 }));
/// assert!(!flag.is_enabled(&ctx! { user_id: 2 }));
/// assert!(flag.is_enabled(&ctx! { user_id: 2, age: 20 }));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Flag {
    name: Name,
    text: Arc<str>,
    is_enabled: bool,
    /// `None` for most flags, which are on or off for everybody.
    rules: Option<Arc<Rules>>,
}

/// Where the name is kept: nearly always it is in the record, as it is.
#[derive(Clone)]
enum Name {
    InText { start: u32, len: u32 },
    Own(Box<str>),
}

impl Name {
    fn new(name: &str, text: &str, stored: Range<usize>) -> Self {
        match (u32::try_from(stored.start), u32::try_from(stored.len())) {
            (Ok(start), Ok(len)) if text.get(stored) == Some(name) => Self::InText { start, len },
            _ => Self::Own(name.into()),
        }
    }
}

impl Flag {
    /// Makes a disabled flag without client data, conditions and bucketer.
    ///
    /// `created` is stored in whole seconds.
    pub fn new(name: FlagName<'_>, created: Timestamp) -> Self {
        let mut text = Vec::with_capacity(160 + name.as_str().len());
        text.extend_from_slice(b"{\"feature_name\": ");
        json::write_text(name.as_str().as_bytes(), &mut text);
        text.extend_from_slice(
            b", \"is_enabled\": false, \"meta\": {\"client_data\": {}, \"created_date\": ",
        );
        json::write_int(created.as_secs(), &mut text);
        text.extend_from_slice(b", \"conditions\": [], \"bucketer\": {\"type\": \"NoOpBucketer\"}}}");
        let text = json::into_string(text);
        let start = "{\"feature_name\": \"".len();
        let name = Name::new(name.as_str(), &text, start..start + name.as_str().len());
        Self { name, text: text.into(), is_enabled: false, rules: None }
    }

    /// Reads a stored flag under the name that is in it.
    ///
    /// This takes any name that Python could have written there, also one that [`FlagName`] refuses and no store
    /// will take. A name that is not a text is its JSON: `5`. A store that keeps flags under keys uses
    /// [`read`](Self::read).
    ///
    /// # Errors
    ///
    /// [`Corrupt`](crate::ErrorKind::Corrupt), saying what is wrong and where, when the bytes are not JSON, are
    /// longer than [`MAX_BYTES`](json::MAX_BYTES) or nested deeper than [`MAX_DEPTH`](json::MAX_DEPTH), when
    /// `feature_name`, `is_enabled`, `meta` or `created_date` is missing, or when conditions have a shape that
    /// flipper-client cannot read either. What is merely unknown (operators, bucketers, percentages, further
    /// fields) is no error: it is kept, and evaluates to the caller's default where it matters.
    pub fn from_json(stored: &[u8]) -> Result<Self> {
        read::read(None, stored)
    }

    /// Reads a stored flag under the name of the key at which it was found.
    ///
    /// The key is the name. A `feature_name` in the record that differs is kept as it is, and
    /// [`stored_name`](Self::stored_name) tells it.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json); the error names the flag.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// // The name is where it is stored, whatever the record says.
    /// let copy = Flag::read(FlagName::new("COPY")?, flag.as_json().as_bytes())?;
    /// assert_eq!((copy.name(), copy.stored_name().as_deref()), ("COPY", Some("CHECKOUT")));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn read(name: FlagName<'_>, stored: &[u8]) -> Result<Self> {
        read::read(Some(name.as_str()), stored).map_err(|error| error.with_flag(name.as_str()))
    }

    /// Returns the name under which the flag was made or found.
    pub fn name(&self) -> &str {
        match &self.name {
            Name::InText { start, len } => &self.text[*start as usize..][..*len as usize],
            Name::Own(name) => name,
        }
    }

    /// Returns the bytes to store. Right after reading, they are the bytes that were read.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// assert!(flag.as_json().contains(r#""is_enabled": true"#));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn as_json(&self) -> &str {
        &self.text
    }

    /// Returns the stored bytes as a version, for stores whose backend has none: two states of a record are the same if
    /// their bytes are. Shares the bytes.
    pub fn version_of_bytes(&self) -> Version {
        Version::from_bytes(Arc::clone(&self.text))
    }

    /// Returns the name in the record if it is not the flag's [`name`](Self::name): somebody has copied or renamed
    /// the key.
    pub fn stored_name(&self) -> Option<String> {
        self.document(|root| root.get("feature_name").map(read::name_of).filter(|name| name != self.name()))
    }

    /// Returns whether the flag is on for a context; off where this version cannot tell.
    ///
    /// Uses documented semantics, the system's clock and a generator per thread: see [`Evaluator`] for others.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// assert!(flag.is_enabled(&ctx! { user_id: 7 }));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn is_enabled(&self, context: &Context<'_>) -> bool {
        Evaluator::new().is_enabled(self, context, false)
    }

    /// Returns whether the flag is on for a context, and what decided it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// assert_eq!(flag.evaluate(&Context::EMPTY).reason, Reason::Enabled);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn evaluate(&self, context: &Context<'_>) -> Evaluation {
        Evaluator::new().evaluate(self, context, false)
    }

    /// Returns whether the flag is on for a context, and every step of the way, to print or to inspect.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::{Condition, Flag, FlagName, Timestamp, ctx};
    ///
    /// let mut flag = Flag::new(FlagName::new("X")?, Timestamp::now());
    /// flag.set_enabled(true)?;
    /// flag.add_condition(&Condition::builder().gt("horses", 9000).build()?)?;
    /// let explanation = flag.explain(&ctx! { horses: 8000 });
    /// assert!(explanation.to_string().contains("horses > 9000: failed, horses is 8000"));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn explain(&self, context: &Context<'_>) -> Explanation {
        Evaluator::new().explain(self, context, false)
    }

    /// Returns whether the flag is switched on, whatever its conditions and its bucketer say.
    ///
    /// Only the JSON constant `false` switches a flag off: a `null` or a `0` that somebody has stored reads as on,
    /// here as in flipper-client.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// // Switched on, and for nobody.
    /// flag.set_bucketer(&Bucketer::percentage(Percentage::new(0.0)?))?;
    /// assert!(flag.is_switched_on() && !flag.is_enabled(&Context::EMPTY));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn is_switched_on(&self) -> bool {
        self.is_enabled
    }

    /// Returns the conditions, all of which have to hold.
    pub fn conditions(&self) -> &[Condition] {
        self.rules.as_ref().map_or(&[], |rules| &rules.conditions)
    }

    /// Returns the bucketer.
    pub fn bucketer(&self) -> &Bucketer {
        static NO_OP: Bucketer = Bucketer::NoOp;
        self.rules.as_ref().map_or(&NO_OP, |rules| &rules.bucketer)
    }

    /// Returns when the flag was made, in seconds since the epoch; `None` if the record has something else there.
    pub fn created_date(&self) -> Option<i64> {
        self.document(|root| root.get("meta")?.get("created_date")?.raw().parse().ok())
    }

    /// Returns the data that applications have stored with the flag, as it is stored; an empty object if there is
    /// none.
    pub fn client_data(&self) -> Value {
        self.document(|root| {
            let client_data = root.get("meta").and_then(|meta| meta.get("client_data"));
            client_data
                .filter(|data| !data.is_falsy())
                .map_or_else(|| Value::Object(json::Object::default()), Value::from_node)
        })
    }

    /// Returns all of the flag's metadata, as it is stored: client data, date of creation, conditions, bucketer, and
    /// what other writers have added.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Bucketer, Condition, Context, Flag, FlagName, Percentage, Reason, Timestamp, ctx};
    /// # let mut flag = Flag::new(FlagName::new("CHECKOUT")?, Timestamp::from_secs(1_700_000_000));
    /// # flag.set_enabled(true)?;
    /// assert!(flag.meta().to_json().contains(r#""created_date": 1700000000"#));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn meta(&self) -> Value {
        self.document(|root| root.get("meta").map_or(Value::Null, Value::from_node))
    }

    /// Returns members of the flag's metadata as they are stored, as JSON, each `None` if it is not there: to pass them on as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::{Flag, FlagName, Timestamp};
    ///
    /// let flag = Flag::new(FlagName::new("X")?, Timestamp::from_secs(5));
    /// assert_eq!(flag.stored_meta(["created_date", "owner"]), [Some("5"), None]);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn stored_meta<const N: usize>(&self, names: [&str; N]) -> [Option<&str>; N] {
        let spans = Document::parse(&self.text).ok().and_then(|document| {
            let meta = document.root().get("meta")?;
            Some(names.map(|name| meta.get(name).map(Node::span)))
        });
        spans.map_or([None; N], |spans| spans.map(|span| span.map(|span| &self.text[span])))
    }

    #[inline]
    pub(crate) fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    /// Walks the record again. What is rarely asked is not kept twice.
    fn document<T>(&self, look: impl FnOnce(Node<'_>) -> T) -> T
    where
        T: Default,
    {
        // It has been read before, so it can be read now.
        Document::parse(&self.text).map(|document| look(document.root())).unwrap_or_default()
    }
}

/// Flags are equal when their names and their stored bytes are.
impl PartialEq for Flag {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.text == other.text
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag")
            .field("name", &self.name())
            .field("is_switched_on", &self.is_enabled)
            .field("conditions", &self.conditions())
            .field("bucketer", self.bucketer())
            .finish_non_exhaustive()
    }
}
