//! What each entry did, read off the log: the entry, and the roster as it was before it.

use protocol::cut::{Cut, CutAt};
use protocol::entry::{Body, DenyReason, Entry, RemoveReason, VetoOf};
use protocol::policy::{How, Role};
use protocol::roster::Roster;
use protocol::rotation::Rotation;
use protocol::signed::Verified;
use protocol::{DeviceId, RequestId};

use super::settings::{Field, differences};

/// What an entry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// The chain began.
    Founded,
    /// A device became a member.
    Admitted { request: RequestId, device: DeviceId, role: Role, how: How },
    /// A request was denied.
    Denied { request: RequestId, device: DeviceId, reason: DenyReason },
    /// Devices were removed.
    Removed { devices: Vec<(DeviceId, Cut)>, reason: RemoveReason, epoch: NewEpoch },
    /// A new epoch began.
    Rotated { epoch: NewEpoch },
    /// Its signer left.
    Left,
    /// A member has another role.
    RoleChanged { device: DeviceId, from: Option<Role>, to: Role },
    /// The policy is another.
    PolicyChanged { fields: Vec<Field> },
    /// The end of the chain was announced.
    Closing { delay: u32 },
    /// The end of the chain, or a reset, was stopped.
    Vetoed { of: VetoOf },
    /// The chain ended.
    Closed,
    /// A fork ended.
    Settled { epoch: NewEpoch },
    /// Nothing that this version knows; such an entry never verifies.
    Unknown,
}

/// What a new epoch brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NewEpoch {
    /// Its number.
    pub(super) number: u64,
    /// What became of the sync code.
    pub(super) code: Code,
    /// A new recovery device.
    pub(super) recovery: Option<DeviceId>,
}

/// The sync code in a new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// It goes on.
    Kept,
    /// It is a new one.
    New,
}

impl NewEpoch {
    fn of(rotation: &Rotation) -> Self {
        let code = if rotation.join_key.is_some() { Code::New } else { Code::Kept };
        let recovery = rotation.recovery.map(|device| device.signing);
        Self { number: rotation.epoch, code, recovery }
    }
}

impl Deed {
    /// What an entry does to this roster; `found` to none.
    pub(super) fn of(before: Option<&Roster>, entry: &Verified<Entry>) -> Self {
        let role_before = |device| before.and_then(|roster| roster.member(device)).map(|member| member.role);
        match &entry.body {
            Body::Found(_) => Self::Founded,
            Body::Admit(admit) => match entry.evidence().request() {
                Some(request) => Self::Admitted {
                    request: request.id(),
                    device: request.device.signing,
                    role: admit.role,
                    how: admit.how,
                },
                // `Entry::check` leaves the request of every admit.
                None => Self::Unknown,
            },
            Body::Deny(deny) => Self::Denied { request: deny.request, device: deny.device, reason: deny.reason },
            Body::Remove(remove) => Self::Removed {
                devices: remove.removals.iter().map(|removal| (removal.device, removal.cut)).collect(),
                reason: remove.reason,
                epoch: NewEpoch::of(&remove.rotation),
            },
            Body::Rotate(rotate) => Self::Rotated { epoch: NewEpoch::of(&rotate.rotation) },
            Body::Leave(_) => Self::Left,
            Body::ChangeRole(change) => {
                Self::RoleChanged { device: change.device, from: role_before(&change.device), to: change.role }
            }
            Body::ChangePolicy(change) => Self::PolicyChanged {
                fields: before.map(|roster| differences(roster.policy(), &change.policy)).unwrap_or_default(),
            },
            Body::Closing(_) => Self::Closing { delay: before.map_or(0, |roster| roster.policy().closing_delay) },
            Body::Veto(veto) => Self::Vetoed { of: veto.of },
            Body::Close(_) => Self::Closed,
            Body::Settle(settle) => Self::Settled { epoch: NewEpoch::of(&settle.rotation) },
            Body::Unknown { .. } => Self::Unknown,
        }
    }

    /// The request that it decided.
    pub(super) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Admitted { request, .. } | Self::Denied { request, .. } => Some(*request),
            _ => None,
        }
    }

    /// The devices that it is about.
    pub(super) fn devices(&self, signer: DeviceId) -> Vec<DeviceId> {
        match self {
            Self::Admitted { device, .. } | Self::Denied { device, .. } | Self::RoleChanged { device, .. } => {
                vec![*device]
            }
            Self::Removed { devices, .. } => devices.iter().map(|(device, _)| *device).collect(),
            Self::Founded | Self::Left => vec![signer],
            Self::Rotated { epoch } | Self::Settled { epoch } => epoch.recovery.into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What has another value since.
    pub(super) fn fields(&self) -> Vec<Field> {
        match self {
            Self::PolicyChanged { fields } => fields.clone(),
            Self::RoleChanged { from, to, .. } => {
                let from = from.map(|role| role.name().to_owned()).unwrap_or_default();
                vec![Field { name: "role", from, to: to.name().to_owned() }]
            }
            Self::Removed { epoch, .. } | Self::Rotated { epoch } | Self::Settled { epoch } => {
                let before = epoch.number.saturating_sub(1);
                let mut fields = vec![Field { name: "epoch", from: before.to_string(), to: epoch.number.to_string() }];
                if epoch.code == Code::New {
                    fields.push(Field { name: "sync code", from: "old".to_owned(), to: "new".to_owned() });
                }
                fields
            }
            _ => Vec::new(),
        }
    }
}

/// The devices whose records count only up to a place that was chosen.
pub(super) fn disputed(devices: &[(DeviceId, Cut)]) -> impl Iterator<Item = (DeviceId, u64)> {
    devices.iter().filter(|(_, cut)| cut.at == CutAt::Earlier).map(|(device, cut)| (*device, cut.counter))
}
