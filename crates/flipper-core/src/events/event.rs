//! One thing that happens to a flag.

use std::fmt;

use crate::json::Object;
use crate::{Bucketer, Condition, Flag, Timestamp};

/// Says whether an event comes before or after its write.
///
/// # Examples
///
/// ```
/// use flipper_core::events::{EventType, Phase};
///
/// assert_eq!(EventType::PreEnable.phase(), Phase::Before);
/// assert_eq!(EventType::PostEnable.phase(), Phase::After);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the write: a handler that fails vetoes it.
    Before,
    /// After the write, which stands whatever handlers do.
    After,
}

macro_rules! event_types {
    ($($(#[$doc:meta])* $pre:ident $post:ident $pre_name:literal $post_name:literal),* $(,)?) => {
        /// Names the sixteen events, flipper-client's.
        ///
        /// # Examples
        ///
        /// ```
        /// use flipper_core::events::{EventType, Phase};
        ///
        /// // Those that tell what has been done.
        /// let after = EventType::ALL.iter().filter(|event| event.phase() == Phase::After);
        /// assert_eq!(after.count(), 8);
        /// assert_eq!(EventType::PostSetBucketer.to_string(), "post_set_bucketer");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $(
                $(#[$doc])*
                #[doc = "Before the write."]
                $pre,
                $(#[$doc])*
                #[doc = "After the write."]
                $post,
            )*
        }

        impl EventType {
            /// All events, each aspect's before and after together.
            pub const ALL: &'static [Self] = &[$(Self::$pre, Self::$post),*];

            /// Returns the name as flipper-client writes it, such as `pre_create`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$pre => $pre_name, Self::$post => $post_name,)*
                }
            }

            /// Returns whether the event comes before or after the write.
            pub fn phase(self) -> Phase {
                match self {
                    $(Self::$pre => Phase::Before, Self::$post => Phase::After,)*
                }
            }
        }
    };
}

event_types! {
    /// A flag is created.
    PreCreate PostCreate "pre_create" "post_create",
    /// A flag is switched on.
    PreEnable PostEnable "pre_enable" "post_enable",
    /// A flag is switched off.
    PreDisable PostDisable "pre_disable" "post_disable",
    /// A flag is deleted.
    PreDestroy PostDestroy "pre_destroy" "post_destroy",
    /// A condition is added.
    PreAddCondition PostAddCondition "pre_add_condition" "post_add_condition",
    /// The conditions are replaced.
    PreSetConditions PostSetConditions "pre_set_conditions" "post_set_conditions",
    /// Client data are merged.
    PreSetClientData PostSetClientData "pre_set_client_data" "post_set_client_data",
    /// The bucketer is replaced.
    PreSetBucketer PostSetBucketer "pre_set_bucketer" "post_set_bucketer",
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Holds what an event is about, beside the flag.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::Condition;
/// use flipper_core::events::{EventType, Payload};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.events().on(EventType::PostAddCondition, |event| {
///     if let Payload::AddCondition(condition) = event.payload {
///         println!("{} is for {condition} now", event.flag);
///     }
/// });
/// client.create("X").await?.add_condition(&Condition::builder().eq("is_admin", true).build()?).await?;
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload<'e> {
    /// Of `create`: what the flag starts with.
    Create {
        /// Whether it is switched on.
        is_enabled: bool,
        /// Its client data.
        client_data: &'e Object,
    },
    /// Of `enable`.
    Enable,
    /// Of `disable`.
    Disable,
    /// Of `destroy`.
    Destroy,
    /// Of `add_condition`: the condition.
    AddCondition(&'e Condition),
    /// Of `set_conditions`: all conditions.
    SetConditions(&'e [Condition]),
    /// Of `set_client_data`: all client data as they are after the merge.
    SetClientData(&'e Object),
    /// Of `set_bucketer`: the bucketer.
    SetBucketer(&'e Bucketer),
}

impl Payload<'_> {
    /// Returns the event that this is the payload of.
    pub fn event_type(&self, phase: Phase) -> EventType {
        let (pre, post) = match self {
            Self::Create { .. } => (EventType::PreCreate, EventType::PostCreate),
            Self::Enable => (EventType::PreEnable, EventType::PostEnable),
            Self::Disable => (EventType::PreDisable, EventType::PostDisable),
            Self::Destroy => (EventType::PreDestroy, EventType::PostDestroy),
            Self::AddCondition(_) => (EventType::PreAddCondition, EventType::PostAddCondition),
            Self::SetConditions(_) => (EventType::PreSetConditions, EventType::PostSetConditions),
            Self::SetClientData(_) => (EventType::PreSetClientData, EventType::PostSetClientData),
            Self::SetBucketer(_) => (EventType::PreSetBucketer, EventType::PostSetBucketer),
        };
        match phase {
            Phase::Before => pre,
            Phase::After => post,
        }
    }
}

/// Tells what happens to a flag.
///
/// "Before" comes once per attempt, with what that attempt has read and would write: after a conflict it comes again.
/// "After" comes exactly once, when the write stands.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::events::EventType;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.events().on(EventType::PostEnable, |event| {
///     assert_eq!((event.flag, event.actor), ("X", Some("ada")));
///     let was_on = event.before.is_some_and(|flag| flag.is_switched_on());
///     println!("{:?}: {} after {was_on}", event.time, event.event_type());
/// });
/// client.create("X").await?;
/// client.as_actor("ada").enable("X").await?;
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'e> {
    /// The flag's name.
    pub flag: &'e str,
    /// What happens to it.
    pub payload: Payload<'e>,
    /// Before or after the write.
    pub phase: Phase,
    /// Which attempt this is, from 1 on.
    pub attempt: u32,
    /// Who does it: see [`FeatureFlagClient::as_actor`](crate::FeatureFlagClient::as_actor).
    pub actor: Option<&'e str>,
    /// When the attempt was made.
    pub time: Timestamp,
    /// The flag as it was read; `None` if there was none, or none that could be read.
    pub before: Option<&'e Flag>,
    /// The flag as it is to be; `None` if it is deleted.
    pub after: Option<&'e Flag>,
}

impl Event<'_> {
    /// Returns which of the sixteen events this is.
    pub fn event_type(&self) -> EventType {
        self.payload.event_type(self.phase)
    }
}
