//! The codes of exceptions.

use flipper_core::ErrorKind;

/// Says what went wrong. The first is that of the published service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) i32);

/// Each kind with its code, as in `thrift/feature_flag_store.thrift`.
const CODES: [(ErrorKind, i32); 11] = [
    (ErrorKind::NotFound, 0),
    (ErrorKind::AlreadyExists, 1),
    (ErrorKind::Conflict, 2),
    (ErrorKind::OutcomeUnknown, 3),
    (ErrorKind::NotReplicated, 4),
    (ErrorKind::InvalidInput, 5),
    (ErrorKind::Corrupt, 6),
    (ErrorKind::Unavailable, 7),
    (ErrorKind::PermissionDenied, 8),
    (ErrorKind::Unsupported, 9),
    (ErrorKind::Internal, 10),
];

impl Code {
    pub(crate) const NOT_FOUND: Self = Self(0);

    pub(crate) fn of(kind: ErrorKind) -> Self {
        let code = CODES.iter().find(|(known, _)| *known == kind);
        Self(code.map_or(10, |(_, code)| *code))
    }

    /// The kind; `None` for a code of somebody's own.
    pub(crate) fn kind(self) -> Option<ErrorKind> {
        CODES.iter().find(|(_, code)| *code == self.0).map(|(kind, _)| *kind)
    }
}
