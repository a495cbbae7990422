//! What must hold after every step, by the numbers of the project's invariants.

use protocol::policy::Role;
use protocol::roster::Roster;

use super::World;
use super::devices::{Device, is_deny, roster_of};
use super::reference::Reference;

/// Of every device by itself.
pub(super) fn hold(world: &World) {
    for device in &world.devices {
        let Some(roster) = device.roster() else { continue };
        // Invariants 1, 2, 7, 8 and 9: the reference panics where an entry could not stand, and knows the same members.
        let steps = Reference::of(&device.log);
        let last = steps.last().unwrap();
        let roles: Vec<_> = roster.members().map(|member| (member.device.signing, member.role)).collect();
        assert_eq!(roles, last.roles.clone().into_iter().collect::<Vec<_>>(), "the same members");
        assert_eq!((roster.epoch(), roster.policy()), (last.epoch, &last.policy), "the same terms");
        assert_eq!(roster.closing().map(|closing| closing.hash), last.closing.map(|(hash, _)| hash));
        for member in roster.members() {
            let at = usize::try_from(member.admission.seq).unwrap();
            let by = member.admission.by;
            let decided = at == 0 || steps[at - 1].roles.get(&by) == Some(&Role::Approver);
            assert!(decided, "invariant 1: admitted by an approver of then");
        }
        records(device, &steps);
        keys(device, roster, &steps);
    }
}

/// Invariant 3, as far as the log tells: signed by a writer of the cited place, in its epoch.
fn records(device: &Device, steps: &[Reference]) {
    for record in &device.believed {
        let Some(at) = device.log.iter().position(|entry| entry.hash() == record.head) else {
            panic!("invariant 3: a record of a head that is not in the log was believed")
        };
        assert!(steps[at].roles.get(&record.signer()).is_some_and(|role| role.writes()), "invariant 3: a writer");
        assert_eq!(steps[at].epoch, record.epoch, "invariant 3: in its epoch");
    }
}

/// Invariant 6: keys are sealed to members only, and a device that is gone opens none of later.
fn keys(device: &Device, roster: &Roster, steps: &[Reference]) {
    let id = device.keys.id();
    for seq in device.sealed_in(&device.log) {
        assert!(steps[usize::try_from(seq).unwrap()].roles.contains_key(&id), "invariant 6: sealed to a member");
    }
    let member_since = |epoch: u64| steps.iter().any(|step| step.epoch >= epoch && step.roles.contains_key(&id));
    for (epoch, key_id) in device.held() {
        assert!(member_since(epoch), "invariant 6: a key of a time in which it was no member, or of before");
        assert_eq!(Some(key_id.0), roster.key_id_of(epoch).map(|known| known.0), "the key that the log names");
    }
}

/// Invariant 5: two devices that went different ways raise the alarm, both, when a message crosses.
pub(super) fn hold_once_views_meet(world: &mut World) {
    for one in 0..world.devices.len() {
        for other in 0..world.devices.len() {
            let theirs = world.devices[other].log.clone();
            let own = &mut world.devices[one];
            let apart = own.log.iter().zip(&theirs).any(|(own, theirs)| own.hash() != theirs.hash());
            if theirs.is_empty() || own.log.is_empty() || !apart {
                continue;
            }
            let before = own.log.len();
            own.takes(&theirs);
            assert!(own.alarm.is_some(), "invariant 5: the alarm");
            assert_eq!(own.log.len(), before, "and the pinned log stays");
        }
    }
}

/// Invariants 4 and 10: once the relay serves everybody again, whoever saw no fork stands at one place, the longest, and it is decided.
pub(super) fn end_in_time(world: &mut World) {
    let calm = |device: &Device| device.alarm.is_none() && !device.log.is_empty();
    let Some(longest) =
        world.devices.iter().filter(|device| calm(device)).map(|device| device.log.clone()).max_by_key(Vec::len)
    else {
        return;
    };
    let relay_is_behind = world.relay.log.iter().zip(&longest).all(|(relay, own)| relay.hash() == own.hash());
    if !relay_is_behind {
        return;
    }
    if world.relay.log.len() < longest.len() {
        world.relay.log.clone_from(&longest);
    }
    let log = world.relay.log.clone();
    for device in world.devices.iter_mut().filter(|device| calm(device)) {
        device.takes(&log);
        assert!(device.alarm.is_none(), "no alarm about an honest relay");
        assert_eq!(device.log.last().map(|entry| entry.hash()), log.last().map(|entry| entry.hash()), "invariant 10");
    }
    // An approver that is left decides what is open.
    let closed = roster_of(&log).is_closed();
    let decider = world.devices.iter().position(|device| device.decides() && device.keyring().is_some());
    if let Some(decider) = decider.filter(|_| !closed) {
        let entry = world.devices[decider].denies(1_000_000).unwrap();
        assert!(is_deny(&entry) && world.relay.takes(&entry), "invariant 10: a decision lands");
    }
}
