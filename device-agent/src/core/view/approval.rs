//! What approvers agree to together, as it is shown.

use protocol::policy::Role;
use serde::{Deserialize, Serialize};

use super::{ChangeView, DecisionView, DeviceView, FieldView, Here, RequestView, short};
use crate::text;

/// Something that more than one approver must agree to, and at least one has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProposalView {
    /// Verified: the hash of what is agreed to.
    pub(crate) proposal: String,
    /// Verified: `admit`, `remove`, `change-role`, `change-policy`, `closing` or `settle`.
    pub(crate) kind: String,
    /// Verified: in words; names are claimed, and quoted.
    pub(crate) what: String,
    /// Verified: who agreed; the names are claimed.
    pub(crate) approved_by: Vec<String>,
    /// Whether this device is one of them.
    pub(crate) here: Here,
    /// Verified: approvers that must agree besides.
    pub(crate) more_needed: u64,
    /// Verified: the request, where one is to be admitted.
    pub(crate) request: Option<String>,
    /// Verified: as what.
    pub(crate) role: Option<String>,
    /// Verified: the devices that it is about; their names are claimed.
    pub(crate) devices: Vec<DeviceView>,
    /// Verified: what would have another value.
    pub(crate) fields: Vec<FieldView>,
    /// Everything else to know before one agrees, line by line.
    pub(crate) details: Vec<String>,
}

impl ProposalView {
    /// How far it has come.
    pub(crate) fn standing(&self) -> String {
        approved(&self.approved_by, self.more_needed)
    }

    /// What another approver types to agree.
    pub(crate) fn next(&self) -> String {
        match (&self.request, self.role.as_deref()) {
            (Some(request), Some(role)) if role != Role::Approver.name() => {
                format!("countersign approve {} --role {role}", short(request))
            }
            (Some(request), _) => format!("countersign approve {}", short(request)),
            (None, _) => format!("countersign approvals agree {}", short(&self.proposal)),
        }
    }
}

/// `approved by 'laptop', 1 more needed`.
pub(crate) fn approved(by: &[String], more_needed: u64) -> String {
    let by = if by.is_empty() {
        "approved by nobody yet".to_owned()
    } else {
        format!("approved by {}", text::quote_all(by))
    };
    match more_needed {
        0 => format!("{by}; enough: the next that agrees carries it out"),
        more => format!("{by}, {more} more needed"),
    }
}

/// What came of something that may need several approvers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum OutcomeView {
    /// It is in the log.
    Changed(Box<ChangeView>),
    /// Others must agree first.
    Proposed(Box<ProposalView>),
}

/// What came of a typed code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum ApprovedView {
    /// The request is decided.
    Decided(Box<DecisionView>),
    /// Others must type theirs too.
    Agreed(Box<ProposalView>),
}

/// An approval that came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApprovalView {
    /// Verified: who gave it; the name is claimed.
    pub(crate) by: String,
    /// What it is about.
    pub(crate) proposal: ProposalView,
    /// The request, where one is to be admitted and is open.
    pub(crate) request: Option<Box<RequestView>>,
}
