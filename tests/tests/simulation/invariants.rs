//! What must hold after every step, by the numbers of the project's invariants.
//!
//! [`crate::observed`] asks 1, 2, 7, 8 and 9 of every log that it reads: the reference panics at an entry that could not stand.

use std::collections::BTreeMap;

use countersign::simulation::Kept;
use protocol::cut::{Cut, CutAt};
use protocol::entry::Body;
use protocol::record::Record;
use protocol::{DeviceId, Hash, Verified};

use crate::observed::{AtRelay, Log};
use crate::world::{VERIFICATION, World};

pub(crate) fn hold(world: &World) {
    if let Some(relay) = world.observed.at_relay(&world.relay_folder()) {
        the_relay(world, &relay);
    }
    for number in 0..world.desks.len() {
        if let Some(kept) = world.kept(number) {
            a_device(world, number, &kept);
        }
    }
    let forked = world.observed.forked_at().is_some() || world.observed.records_forked();
    assert!(world.alarms.is_empty() || forked, "an alarm where nothing forked: {:?}", world.alarms);
}

/// What the relay stored, its gate let in.
fn the_relay(world: &World, relay: &AtRelay) {
    for record in &relay.records {
        assert!(relay.log.position(&record.head).is_some(), "invariant 3: a record of a head that the relay knows");
        stands(world, record);
    }
    lines(&relay.records);
    for (entry, device, cut) in cuts(&relay.log) {
        let of_device = relay.records.iter().filter(|record| record.signer() == device);
        let counter = of_device.map(|record| record.counter).max().unwrap_or_default();
        // Where its line ended when it was cut, if what came after the cut was only distrusted. With another disk that comes back.
        let seen = *world.ends_of_lines.borrow_mut().entry(entry).or_insert(counter);
        let end = if cut.at == CutAt::Last { cut.counter } else { seen };
        let is_given_back = cut.at == CutAt::Earlier && world.disks_changed > 0;
        assert!(counter <= end || is_given_back, "a removed device writes nothing more");
    }
}

fn a_device(world: &World, number: usize, kept: &Kept) {
    let log = world.observed.log(kept.log.clone());
    let admitted = |log: &Log| log.last().is_some_and(|last| last.admitted.contains(&kept.device));
    no_false_alarm(world, number, kept);
    if !kept.is_member {
        assert!(log.entries.is_empty(), "invariant 1: a joiner believes no log before its own admission");
        return;
    }
    // The founder has its keys before its chain.
    let founds = world.observed.was_ever_admitted(&kept.device) || number == 0;
    assert!(if log.entries.is_empty() { founds } else { admitted(&log) }, "invariant 6: keys without an admission");
    let believed: Vec<_> = kept.records.iter().map(|record| world.observed.record(record.clone())).collect();
    for record in &believed {
        assert!(log.position(&record.head).is_some(), "invariant 3: a record of a head that is in the log");
        stands(world, record);
    }
    lines(&believed);
    let aside = kept.aside.iter().map(|record| world.observed.record(record.clone()));
    for record in believed.into_iter().chain(aside) {
        reads_nothing_of_later(world, &kept.device, &record);
    }
    epoch_keys(world, number, kept);
}

/// Where no relay went back and on in another way, nobody calls it a liar.
fn no_false_alarm(world: &World, number: usize, kept: &Kept) {
    let log_forked = world.observed.forked_at().is_some();
    assert!(kept.evidence.is_empty() || log_forked, "evidence of a fork that there never was: {number}");
    let ended = world.desks[number].ended.borrow().clone().filter(|failed| failed.exit == VERIFICATION);
    let forked = log_forked || world.observed.records_forked();
    assert!(ended.is_none() || forked, "an alarm where nothing forked: {number}, {ended:?}");
}

/// Invariant 3: signed by a writer of the cited place, in its epoch.
fn stands(world: &World, record: &Verified<Record>) {
    let Some(then) = world.observed.at(&record.head) else { return };
    assert!(then.roles.get(&record.signer()).is_some_and(|role| role.writes()), "invariant 3: a writer");
    assert_eq!(then.epoch, record.epoch, "invariant 3: in its epoch");
}

/// Invariant 3: each next on its author's line.
fn lines(records: &[Verified<Record>]) {
    let mut ends: BTreeMap<DeviceId, &Verified<Record>> = BTreeMap::new();
    for record in records {
        let before = ends.insert(record.signer(), record);
        let expected = before.map_or((1, None), |before| (before.counter + 1, Some(before.hash())));
        assert_eq!((record.counter, record.last), expected, "invariant 3: next on its line");
    }
}

/// A device that was removed is handed nothing that was written after that.
fn reads_nothing_of_later(world: &World, device: &DeviceId, record: &Verified<Record>) {
    let Some(then) = world.observed.at(&record.head) else { return };
    let gone = then.admitted.contains(device) && !then.roles.contains_key(device);
    assert!(!gone, "a removed device reads what was written after its removal");
}

/// Invariant 6: whoever holds a key of an epoch was a member in it, or later.
fn epoch_keys(world: &World, number: usize, kept: &Kept) {
    let Some(member) = world.desks[number].member.borrow().clone() else { return };
    let held = futures_util::FutureExt::now_or_never(member.epoch_keys()).unwrap().unwrap();
    let log = world.observed.log(kept.log.clone());
    for (epoch, _) in held {
        let member_then =
            |step: &crate::reference::Reference| step.epoch >= epoch && step.roles.contains_key(&kept.device);
        assert!(log.steps.iter().any(member_then), "invariant 6: a key of an epoch that began without it");
    }
}

/// Where the lines of removed devices end, by what entry.
fn cuts(log: &Log) -> Vec<(Hash, DeviceId, Cut)> {
    let mut cuts = Vec::new();
    for entry in &log.entries {
        match &entry.body {
            Body::Remove(remove) => {
                cuts.extend(remove.removals.iter().map(|removal| (entry.hash(), removal.device, removal.cut)))
            }
            Body::Leave(leave) => cuts.push((entry.hash(), entry.signer(), leave.cut)),
            _ => {}
        }
    }
    cuts
}
