//! What the recovery device signs: the admission of a new device, and a new epoch with other recovery words.

use std::collections::HashMap;
use std::sync::Arc;

use protocol::DeviceId;
use protocol::cbor::Blob;
use protocol::change::{self, CodeChange, RecoveryChange};
use protocol::code::RecoveryCode;
use protocol::cut::{Cut, CutAt, Removal};
use protocol::decision::admit_recovered;
use protocol::entry::{Entry, RemoveReason};
use protocol::keyring::{Acting, Keyring};
use protocol::keys::{DeviceKeys, EpochKey};
use protocol::record::{Line, Record};
use protocol::request::{Description, JoinRequest};
use protocol::round::Commitments;
use protocol::signed::Verified;

use super::Opened;
use crate::clock;
use crate::error::AgentError;
use crate::relay_client::RelayClient;

/// What a person decided.
pub(crate) struct Order {
    /// Devices that go.
    pub(crate) remove: Vec<DeviceId>,
    /// The words from now on. They are on paper already.
    pub(crate) next: RecoveryCode,
    /// What the new device says of itself.
    pub(crate) about: Description,
}

/// The new device, and the request that is made and admitted here.
pub(super) struct Fresh {
    pub(super) keys: DeviceKeys,
    pub(super) request: Arc<Verified<JoinRequest>>,
    pub(super) sealed: Blob,
}

/// Where the lines of removed devices are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exactness {
    /// At the last record that the relay has, which it compares.
    Last,
    /// At the last record that was read here: somebody writes faster than it can be read, or the relay does not compare.
    Here,
}

impl Fresh {
    /// Draws a device, and makes its request with the current sync code.
    pub(super) fn draw(opened: &Opened, about: &Description) -> Result<Self, AgentError> {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let keys = DeviceKeys::draw(&mut rng);
        let code = opened.keyring.code();
        let sealed =
            about.seal(code, &keys.id(), &mut rng).map_err(|error| AgentError::Task { what: error.to_string() })?;
        // Nobody shows a code for it: the commitment is to a value that is gone when this returns.
        let commitment = Commitments::draw(&mut rng).public();
        let request = JoinRequest::sign(code, &keys, &sealed, commitment, clock::now()).map_err(AgentError::OwnForm)?;
        Ok(Self { keys, request: Arc::new(request), sealed })
    }
}

/// Signs the batch, if the log would take it. Returns it with the key of the epoch that it begins.
pub(super) fn sign(
    opened: &Opened,
    order: &Order,
    fresh: &Fresh,
    lines: &HashMap<DeviceId, Line>,
    exactness: Exactness,
) -> Result<(Vec<Verified<Entry>>, EpochKey), AgentError> {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let Opened { keys, roster, keyring, .. } = opened;
    let at = clock::now();
    let admit = admit_recovered(Acting { keys, roster, keyring }, &fresh.request, &order.about, at, &mut rng)
        .map_err(AgentError::OwnForm)?;
    let roster = roster.clone().apply(&admit).map_err(AgentError::OwnRefused)?;
    let next = order.next.keys();
    let replace = RecoveryChange::Replace(&next);
    // Signed by the recovery device, which fills every quorum.
    let acting = Acting { keys, roster: &roster, keyring };
    let rotation = if order.remove.is_empty() {
        change::rotate(acting, CodeChange::Keep, replace, at, &mut rng)
    } else {
        let removals = removals(&order.remove, lines, exactness);
        change::remove(acting, removals, RemoveReason::Lost, replace, Vec::new(), at, &mut rng)
    };
    let rotation = rotation.map_err(AgentError::OwnForm)?;
    let roster = roster.apply(&rotation).map_err(AgentError::OwnRefused)?;
    let keyring = Keyring::follow(&roster, &fresh.keys, keyring.epoch_key())
        .map_err(|error| AgentError::Task { what: error.to_string() })?;
    Ok((vec![admit, rotation], keyring.epoch_key().clone()))
}

fn removals(devices: &[DeviceId], lines: &HashMap<DeviceId, Line>, exactness: Exactness) -> Vec<Removal> {
    let at = match exactness {
        Exactness::Last => CutAt::Last,
        Exactness::Here => CutAt::Earlier,
    };
    let cut = |device: &DeviceId| {
        let Line { counter, last } = lines.get(device).copied().unwrap_or_default();
        Removal { device: *device, cut: Cut { counter, last, at } }
    };
    let mut removals: Vec<Removal> = devices.iter().map(cut).collect();
    removals.sort_by_key(|removal| removal.device);
    removals.dedup_by_key(|removal| removal.device);
    removals
}

/// Where the lines of all writers end, as the relay has them: the recovery device is a member, and members read.
pub(super) async fn lines(relay: &RelayClient, opened: &Opened) -> Result<HashMap<DeviceId, Line>, AgentError> {
    let chain = opened.roster.chain();
    let mut lines: HashMap<DeviceId, Line> = HashMap::new();
    let mut cursor = None;
    loop {
        let page = relay.records(&opened.keys, chain, cursor).await?;
        if cursor.is_some_and(|cursor: protocol::connect::Cursor| cursor.store != page.cursor.store) {
            return Err(AgentError::Garbled { what: "its feed changes from store to store".to_owned() });
        }
        for row in &page.rows {
            let record = Verified::<Record>::from_bytes(&row.sealed.record).map_err(AgentError::BadForm)?;
            let line = lines.entry(record.signer()).or_default();
            if record.chain == chain && record.counter > line.counter {
                *line = Line { counter: record.counter, last: Some(record.hash()) };
            }
        }
        if page.rows.is_empty() || page.cursor.number >= page.last || cursor == Some(page.cursor) {
            return Ok(lines);
        }
        cursor = Some(page.cursor);
    }
}
