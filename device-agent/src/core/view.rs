//! What callers are shown: plain values with every stranger's text cleaned. They travel over the local socket as JSON.
//!
//! Each fact has one of three sources. *Verified*: ids, roles, decisions, order. *Seen by the relay*: addresses, times of arrival.
//! *Claimed by the device*: names, platforms, versions, and the clocks inside signed forms.

mod member;
mod log;
mod request;
mod approval;
mod policy;
mod totp;
mod record;
mod export;
mod ending;
mod relay;
mod event;

pub(crate) use approval::{ApprovalView, ApprovedView, OutcomeView, ProposalView, approved};
pub(crate) use ending::{ClosingView, ResetView};
pub(crate) use event::{EVENT_SCHEMA, Event};
pub(crate) use export::{ExportHeader, ExportedView, Freshness};
pub(crate) use log::{BranchView, ChangeView, FieldView, ForkView, StepView};
pub(crate) use member::{AdmittedView, DeviceView, Here, MemberView, RemovalView, RemovedView};
pub(crate) use policy::{CautionView, PolicyPlanView, PolicyView, SettingView};
pub(crate) use record::{ItemStanding, ItemView, LostView, OutboxView, QueuedView, RekeyView, lost_records};
pub(crate) use relay::{MovedView, RelayView};
pub(crate) use request::{DecisionView, PromptView, RequestView, SameNetwork};
pub(crate) use totp::{CodeView, NewSecretView, TotpView};

/// The first eight characters of an id.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
