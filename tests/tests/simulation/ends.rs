//! What must hold once everything that broke is whole again, and some time went by.

use std::rc::Rc;
use std::time::Duration;

use data_encoding::BASE64;
use protocol::DeviceId;
use serde_json::Value;

use crate::invariants;
use crate::observed::Log;
use crate::people::Errand;
use crate::world::{DEVICES, Link, Power, World, Write};

/// Until whatever is under way has ended: a dead connection is found out, and what it carried is sent again.
const TO_END: Duration = Duration::from_secs(90);
/// Until every session is up again and has told what it knows.
const TO_SETTLE: Duration = Duration::from_secs(60);

/// A member at the end.
struct Last {
    number: usize,
    device: DeviceId,
    log: Rc<Log>,
    alarmed: bool,
}

/// Makes everything whole, and asks what must hold then.
pub(crate) fn well(world: &mut World) {
    heal(world);
    if !world.pass_until_idle(TO_END) {
        let open: Vec<_> =
            world.under_way.values().map(|errand| format!("{} {}", errand.device, errand.what)).collect();
        // A join that nobody decides waits, for a day.
        assert!(open.iter().all(|what| what.contains("joins")), "invariant 10: still under way: {open:?}");
    }
    invariants::hold(world);
    world.pass(TO_SETTLE);
    invariants::hold(world);
    let mut members = members(world);
    if world.observed.forked_at().is_some() {
        world.tell("ends forked");
        alarms(world, &members);
    } else if world.observed.records_forked() {
        // Whoever has the one that was lost refuses the other, and its session ends: it follows nothing any more.
        world.tell("ends with forked records");
        members.retain(|member| world.desks[member.number].ended.borrow().is_none());
        one_log(world, &mut members);
    } else {
        world.tell("ends whole");
        one_log(world, &mut members);
        one_state(world, &members);
    }
}

fn heal(world: &mut World) {
    world.tell("everything is whole again");
    for number in 0..DEVICES {
        if world.links[number] != Link::Whole {
            world.set_link(number, Link::Whole);
        }
        if world.power[number] == Power::Off {
            world.start(number);
        }
    }
    if world.relay == Power::Off {
        world.start_relay();
    }
}

/// Those that are members by their own log.
fn members(world: &World) -> Vec<Last> {
    let last = |number| {
        let kept = world.kept(number)?;
        let log = world.observed.log(kept.log);
        let member = kept.is_member && log.last()?.roles.contains_key(&kept.device);
        member.then_some(Last { number, device: kept.device, log, alarmed: !kept.evidence.is_empty() })
    };
    (0..DEVICES).filter_map(last).collect()
}

/// Invariant 5: of two that went different ways, each knows it.
fn alarms(world: &World, members: &[Last]) {
    let Some(relay) = world.observed.at_relay(&world.relay_folder()) else { return };
    for member in members {
        let apart = !member.log.agrees_with(&relay.log);
        // A device that the relay shut out, or whose session ended over something else, is shown no other entry.
        let shown = world.desks[member.number].ended.borrow().is_none();
        assert!(
            !apart || !shown || member.alarmed,
            "invariant 5: {} went another way and knows nothing",
            member.number
        );
    }
}

/// Invariants 4 and 5: everybody stands where the relay stands. A device that was removed need not have been told, and is left out.
fn one_log(world: &World, members: &mut Vec<Last>) {
    let Some(relay) = world.observed.at_relay(&world.relay_folder()) else { return };
    let last = relay.log.last().unwrap();
    members.retain(|member| {
        assert!(member.log.agrees_with(&relay.log), "invariant 5: {} went another way", member.number);
        last.roles.contains_key(&member.device)
    });
    for member in members {
        assert_eq!(member.log.head(), relay.log.head(), "invariant 4: {} stands where the relay stands", member.number);
    }
}

/// Invariant 4: everybody reads the same, and no acknowledged write was lost.
fn one_state(world: &mut World, members: &[Last]) {
    let reads: Vec<_> = members.iter().map(|last| world.send(last.number, "reads", Errand::List)).collect();
    assert!(world.pass_until_idle(TO_SETTLE) || world.under_way.values().all(|errand| errand.what.contains("joins")));
    let mut states = reads.iter().zip(members).map(|(read, member)| {
        let answer = world.answers.get(read);
        let answer = answer.unwrap_or_else(|| panic!("{} cannot read", member.number));
        state(&serde_json::from_str(answer).unwrap())
    });
    let Some(first) = states.next() else { return };
    for (state, member) in states.zip(&members[1..]) {
        assert_eq!(state, first, "invariant 4: {} reads the same as {}", member.number, members[0].number);
    }
    for id in world.writes.iter().map(|write| write.id.clone()).collect::<std::collections::BTreeSet<_>>() {
        let found = first.iter().find(|(item, _)| *item == id).map(|(_, value)| value.clone());
        not_lost(world, &id, found.as_deref());
    }
}

/// Items and what is in them.
fn state(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decode = |value: &Value| String::from_utf8(BASE64.decode(text(value).as_bytes()).unwrap()).unwrap();
    // What is disputed was read by some before they met the cut, and by others never.
    let counts = |item: &&Value| item["standing"] != "disputed";
    let items = list.as_array().unwrap().iter().filter(counts);
    let mut items: Vec<_> = items.map(|item| (text(&item["id"]), decode(&item["value"]))).collect();
    items.sort();
    items
}

/// What is found was written by somebody, and nobody's later write was acknowledged.
fn not_lost(world: &World, id: &str, found: Option<&str>) {
    let writes: Vec<&Write> = world.writes.iter().filter(|write| write.id == id).collect();
    let counts = |write: &&&Write| counts(world, write);
    let mut candidates = writes.iter().filter(|write| write.value.as_deref() == found).peekable();
    let never_written = found.is_none();
    let overtaken_since = |ended: Duration| {
        writes
            .iter()
            .filter(counts)
            .find(|later| later.acknowledged.is_some() && later.began > ended)
            .map(|later| (*later).clone())
    };
    if candidates.peek().is_none() {
        assert!(never_written, "{id}: {found:?} was never written");
    }
    // Nothing was there at first, and what was not acknowledged may have landed late.
    let ends: Vec<Duration> = candidates
        .map(|write| write.acknowledged.unwrap_or(Duration::MAX))
        .chain(never_written.then_some(Duration::ZERO))
        .collect();
    let lost: Vec<_> = ends.iter().filter_map(|ended| overtaken_since(*ended)).collect();
    assert!(lost.len() < ends.len(), "invariant 4: {id} is {found:?}, but later was acknowledged: {lost:?}");
}

/// Whether a write must be there. A relay with an older disk may have lost that its writer was removed, or what it wrote before that.
fn counts(world: &World, write: &Write) -> bool {
    let lives = world.desks.iter().position(|desk| desk.home() == write.home);
    let still_member = lives.is_some_and(|number| still_member(world, number));
    still_member || world.disks_changed == 0
}

fn still_member(world: &World, number: usize) -> bool {
    let relay = world.observed.at_relay(&world.relay_folder());
    let kept = world.kept(number);
    relay
        .zip(kept)
        .is_some_and(|(relay, kept)| relay.log.last().is_some_and(|last| last.roles.contains_key(&kept.device)))
}
