//! Subscribers: one method per event.

use super::{Edit, Event, EventType, Outcome};

/// The error of a handler.
///
/// # Examples
///
/// ```
/// use flipper_core::events::BoxError;
///
/// let veto: BoxError = "not on Fridays".into();
/// assert_eq!(veto.to_string(), "not on Fridays");
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler returns. Before a write, an error is a veto; after it, an error is logged and changes nothing.
///
/// # Examples
///
/// ```
/// use flipper_core::events::{Event, Handled};
///
/// fn only_on(event: &Event<'_>) -> Handled {
///     match event.after {
///         Some(flag) if flag.is_switched_on() => Ok(()),
///         _ => Err("flags are on here".into()),
///     }
/// }
/// ```
pub type Handled = Result<(), BoxError>;

macro_rules! subscriber {
    ($($(#[$doc:meta])* $method:ident $event:ident),* $(,)?) => {
        /// Is told of what happens to flags: one method per event, each of which does nothing unless it is written.
        ///
        /// Handlers are called in the order in which they were registered, in the thread that makes the change, and
        /// while other changes of the same flag wait: they had better be quick. They must not wait for a change of
        /// the same flag; the client refuses one that is made in the same thread.
        ///
        /// # Examples
        ///
        /// ```
        /// use flipper_core::events::{Event, Handled, Subscriber};
        ///
        /// struct NoFridays { is_friday: bool }
        ///
        /// impl Subscriber for NoFridays {
        ///     fn on_pre_enable(&self, event: &Event<'_>) -> Handled {
        ///         if self.is_friday { Err(format!("{} can wait until Monday", event.flag).into()) } else { Ok(()) }
        ///     }
        /// }
        /// ```
        pub trait Subscriber: Send + Sync {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// Before the write, an error is a veto: nothing is written, and no further handler is called. After
                /// it, an error is logged.
                fn $method(&self, event: &Event<'_>) -> Handled {
                    let _ = event;
                    Ok(())
                }
            )*

            /// A write is about to be made: all that an attempt changes, after the events before it, none of which was vetoed.
            ///
            /// It comes once for each attempt. Whoever was told is told by [`on_post_edit`](Self::on_post_edit) how the edit has ended.
            ///
            /// # Errors
            ///
            /// An error is a veto: nothing is written.
            fn on_pre_edit(&self, edit: &Edit<'_>) -> Handled {
                let _ = edit;
                Ok(())
            }

            /// An edit has ended, of which at least one attempt was announced: exactly once, with the attempt that counts, and also if nobody
            /// can tell whether its write has happened, or its future was dropped.
            ///
            /// For each flag, edits of one client come in the order of their writes. If the write stands, its events came before.
            ///
            /// # Errors
            ///
            /// An error is logged.
            fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
                let _ = (edit, outcome);
                Ok(())
            }
        }

        /// Calls the method of an event.
        pub(super) fn dispatch(subscriber: &dyn Subscriber, event: &Event<'_>) -> Handled {
            match event.event_type() {
                $(EventType::$event => subscriber.$method(event),)*
            }
        }
    };
}

subscriber! {
    /// A flag is about to be created.
    on_pre_create PreCreate,
    /// A flag was created.
    on_post_create PostCreate,
    /// A flag is about to be switched on.
    on_pre_enable PreEnable,
    /// A flag was switched on.
    on_post_enable PostEnable,
    /// A flag is about to be switched off.
    on_pre_disable PreDisable,
    /// A flag was switched off.
    on_post_disable PostDisable,
    /// A flag is about to be deleted.
    on_pre_destroy PreDestroy,
    /// A flag was deleted.
    on_post_destroy PostDestroy,
    /// A condition is about to be added.
    on_pre_add_condition PreAddCondition,
    /// A condition was added.
    on_post_add_condition PostAddCondition,
    /// The conditions are about to be replaced.
    on_pre_set_conditions PreSetConditions,
    /// The conditions were replaced.
    on_post_set_conditions PostSetConditions,
    /// Client data are about to be merged.
    on_pre_set_client_data PreSetClientData,
    /// Client data were merged.
    on_post_set_client_data PostSetClientData,
    /// The bucketer is about to be replaced.
    on_pre_set_bucketer PreSetBucketer,
    /// The bucketer was replaced.
    on_post_set_bucketer PostSetBucketer,
}
