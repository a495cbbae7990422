//! The policy as it is shown, and what changing it comes to.

use serde::{Deserialize, Serialize};

use super::FieldView;
use crate::told::Told;

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyView {
    /// Verified: position of the entry that brought it.
    pub(crate) seq: u64,
    /// Verified: approvers that there are.
    pub(crate) approvers: u64,
    /// Verified: every setting.
    pub(crate) settings: Vec<SettingView>,
    /// What its owner should know of it.
    pub(crate) cautions: Vec<CautionView>,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingView {
    /// By the option that changes it.
    pub(crate) name: String,
    /// As it is typed.
    pub(crate) value: String,
    /// What it does.
    pub(crate) meaning: String,
}

/// What a change of the policy would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyPlanView {
    /// Verified: position of the entry that brought the policy that it would replace.
    pub(crate) base: u64,
    /// Verified: what would have another value.
    pub(crate) fields: Vec<FieldView>,
    /// What its owner should know first.
    pub(crate) cautions: Vec<CautionView>,
    /// Approvers besides this one that must agree.
    pub(crate) others_needed: u64,
    /// Why it would be refused, if it would.
    pub(crate) refused: Option<Told>,
}

/// Something to know before a setting is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CautionView {
    /// Its stable name.
    pub(crate) code: String,
    /// In words.
    pub(crate) text: String,
    /// The risk that must be taken by naming it.
    pub(crate) risk: Option<String>,
}
