//! Devices and a relay that lies, by random steps, beside a reference that knows no signatures.
//!
//! Each seed plays a chain: devices join, are denied, removed, leave, rotate, change roles and policy, close, write. The relay rolls back,
//! withholds, replays, shows one branch to some and another to others; devices that were removed go on signing. After each step
//! every honest device is compared with the reference, and the invariants are asked. `COUNTERSIGN_SEEDS` sets how many seeds are played,
//! `COUNTERSIGN_SEED` plays one; a failure names its seed.

mod crooks;
mod devices;
mod invariants;
mod reference;
mod relay;

use protocol::approval::{AdmitSubject, Subject};
use protocol::cbor::Blob;
use protocol::cut::Removal;
use protocol::policy::{Quorums, Role};
use rand_core::Rng as _;

use crate::life::NOTHING;
use crate::support::SeededRng;
use crate::world::Joiner;
use devices::Device;
use relay::Relay;

/// Devices that there are in all; the first founds.
const DEVICES: usize = 6;
const STEPS: usize = 40;
const SEEDS: u64 = 150;

/// A chance with a seed.
pub(crate) struct Dice(SeededRng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill_bytes(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len())) }
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

pub(crate) struct World {
    dice: Dice,
    devices: Vec<Device>,
    relay: Relay,
    /// Everybody who ever asked.
    asked: Vec<Joiner>,
    /// What was done, for whoever reads a failure.
    told: Vec<String>,
}

impl World {
    fn begin(seed: u64) -> Self {
        let dice = Dice(SeededRng::new(&format!("machine {seed}")));
        let devices = (0..DEVICES).map(|number| Device::named(&format!("machine device {number}"))).collect();
        let mut world = Self { dice, devices, relay: Relay::default(), asked: Vec::new(), told: Vec::new() };
        let found = world.devices[0].founds();
        world.relay.log.push(found);
        world
    }

    fn step(&mut self) {
        let who = self.dice.below(DEVICES);
        match self.dice.below(24) {
            0..=3 => self.joins(who),
            4 => self.denies(who),
            5 | 6 => self.removes(who),
            7 | 8 => self.rotates(who),
            9 => self.leaves(who),
            10 => self.changes_role(who),
            11 => self.changes_policy(who),
            12 => self.closes(who),
            13 | 14 => self.writes(who),
            15 => self.relay_rolls_back(),
            16 => self.relay_shows_another_branch(who),
            17 => self.relay_replays(who),
            18..=21 => self.somebody_cheats(who),
            _ => self.catches_up(who),
        }
    }

    /// A device reads the relay's log, or the part of it that the relay likes to show, and heals what the relay lost.
    fn catches_up(&mut self, who: usize) {
        let shown = if self.dice.one_in(4) { self.dice.below(self.relay.log.len()) + 1 } else { self.relay.log.len() };
        self.told.push(format!("{who} reads {shown} of {}", self.relay.log.len()));
        let shown = self.relay.log[..shown].to_vec();
        self.devices[who].takes(&shown);
        if let Some(lost) = self.devices[who].heals(&self.relay.log) {
            for entry in lost {
                self.relay.takes_back(&entry);
            }
        }
    }

    fn relay_rolls_back(&mut self) {
        let left = self.dice.below(self.relay.log.len()) + 1;
        self.told.push(format!("the relay goes back from {} to {left}", self.relay.log.len()));
        let lost = self.relay.log.split_off(left);
        self.relay.grave.extend(lost);
        self.relay.records.clear();
    }

    fn relay_shows_another_branch(&mut self, who: usize) {
        let Some(entry) = self.dice.pick(&self.relay.grave).cloned() else { return };
        let Some(at) = self.relay.log.iter().position(|known| Some(known.hash()) == entry.prev) else { return };
        self.told.push(format!("{who} is shown another {}", entry.seq));
        let mut branch = self.relay.log[..=at].to_vec();
        branch.push(entry);
        self.devices[who].takes(&branch);
    }

    fn relay_replays(&mut self, who: usize) {
        let all: Vec<_> = self.relay.log.iter().chain(&self.relay.grave).cloned().collect();
        let Some(entry) = self.dice.pick(&all).cloned() else { return };
        self.told.push(format!("{who} is handed {} again, alone", entry.seq));
        self.devices[who].is_handed(&entry);
    }

    /// What a device signs goes to the relay, which takes what its log takes; what loses is kept for later.
    fn sends(&mut self, who: usize, entry: Option<protocol::Verified<protocol::entry::Entry>>, what: &str) {
        let Some(entry) = entry else { return };
        let landed = self.relay.takes(&entry);
        self.told.push(format!("{who} {what} at {}: {}", entry.seq, if landed { "landed" } else { "lost" }));
        if landed {
            let log = self.relay.log.clone();
            self.devices[who].takes(&log);
        }
    }

    /// What the others agree to, wherever each of them stands, as many as the signer thinks that it needs.
    fn agreed(&self, who: usize, subject: &Subject, quorum: fn(&Quorums) -> u8) -> Vec<Blob> {
        let Some(roster) = self.devices[who].roster() else { return Vec::new() };
        let others = self.devices.iter().enumerate().filter(|(at, other)| *at != who && other.decides());
        let mut forms: Vec<_> = others.filter_map(|(_, other)| other.agrees(subject)).collect();
        forms.sort_by_key(protocol::Verified::signer);
        forms.truncate(usize::from(quorum(&roster.policy().quorums)) - 1);
        forms.into_iter().map(|form| Blob(form.bytes().to_vec())).collect()
    }

    fn joins(&mut self, who: usize) {
        if self.devices[who].was_member() {
            return;
        }
        let approvers: Vec<usize> = (0..DEVICES).filter(|at| self.devices[*at].decides()).collect();
        let Some(by) = self.dice.pick(&approvers).copied() else { return };
        let role = *self.dice.pick(&[Role::Approver, Role::Approver, Role::Writer, Role::Reader]).unwrap();
        let (name, keys) = (self.devices[who].name.clone(), self.devices[who].keys.clone());
        let Some(joiner) = self.devices[by].heard_of(&name, &keys) else { return };
        self.asked.push(joiner.clone());
        let subject = Subject::Admit(AdmitSubject { request: joiner.request.id(), role });
        let approvals = self.agreed(by, &subject, |quorums| quorums.admit);
        let entry = self.devices[by].admits(&joiner, role, approvals);
        self.sends(by, entry, &format!("admits {who}"));
        if self.relay.admits(&self.devices[who]) {
            let log = self.relay.log.clone();
            self.devices[who].believes(&joiner, &log);
        }
    }

    fn denies(&mut self, who: usize) {
        let entry = self.devices[who].denies(self.dice.below(1000) as u64);
        self.sends(who, entry, "denies");
    }

    fn removes(&mut self, who: usize) {
        let gone = self.dice.below(DEVICES);
        let removals = vec![Removal { device: self.devices[gone].keys.id(), cut: NOTHING }];
        let approvals = self.agreed(who, &Subject::Remove(removals.clone()), |quorums| quorums.remove);
        let entry = self.devices[who].removes(removals, approvals);
        self.sends(who, entry, &format!("removes {gone}"));
    }

    fn rotates(&mut self, who: usize) {
        let draws = self.dice.one_in(2);
        let entry = self.devices[who].rotates(draws);
        self.sends(who, entry, "rotates");
    }

    fn leaves(&mut self, who: usize) {
        if self.dice.one_in(3) {
            let entry = self.devices[who].leaves();
            self.sends(who, entry, "leaves");
        }
    }

    fn changes_role(&mut self, who: usize) {
        let whose = self.dice.below(DEVICES);
        let role = *self.dice.pick(&[Role::Approver, Role::Writer, Role::Reader]).unwrap();
        let device = self.devices[whose].keys.id();
        let entry = self.devices[who].makes(&device, role);
        self.sends(who, entry, &format!("makes {whose} {role}"));
    }

    fn changes_policy(&mut self, who: usize) {
        let quorum = self.dice.below(2) as u8 + 1;
        let Some(policy) = self.devices[who].policy(quorum) else { return };
        let approvals = self.agreed(who, &Subject::Policy(Box::new(policy.clone())), |quorums| quorums.policy);
        let entry = self.devices[who].rules(policy, approvals);
        self.sends(who, entry, &format!("asks for {quorum} to admit and remove"));
    }

    fn closes(&mut self, who: usize) {
        if self.dice.one_in(4) {
            let entry = self.devices[who].ends();
            self.sends(who, entry, "ends or stops the end");
        }
    }

    fn writes(&mut self, who: usize) {
        let Some((record, ciphertext)) = self.devices[who].writes() else { return };
        let stored = self.relay.stores(&record, &ciphertext);
        self.told.push(format!("{who} writes {}: {}", record.counter, if stored { "stored" } else { "refused" }));
        if stored {
            self.devices[who].line = self.devices[who].line.follow(&record).unwrap();
        }
        // Also what was refused is shown to somebody.
        let reader = self.dice.below(DEVICES);
        self.devices[reader].reads(&record);
    }
}

/// Plays a seed, and says what was done.
fn play(seed: u64) -> Vec<String> {
    let mut world = World::begin(seed);
    let steps = std::panic::AssertUnwindSafe(|| {
        for _ in 0..STEPS {
            world.step();
            invariants::hold(&world);
        }
        invariants::hold_once_views_meet(&mut world);
        invariants::end_in_time(&mut world);
    });
    let broke = std::panic::catch_unwind(steps).is_err();
    assert!(!broke, "COUNTERSIGN_SEED={seed} after:\n  {}", world.told.join("\n  "));
    let alarms = world.devices.iter().filter(|device| device.alarm.is_some()).count();
    let believed: usize = world.devices.iter().map(|device| device.believed.len()).sum();
    world.told.extend(core::iter::repeat_n("an alarm".to_owned(), alarms));
    world.told.extend(core::iter::repeat_n("a record is believed".to_owned(), believed));
    world.told
}

/// What a play is worth nothing without.
const HAPPENS: [[&str; 2]; 14] = [
    ["admits", "landed"],
    ["admits", "lost"],
    ["denies", "landed"],
    ["removes", "landed"],
    ["removes", "lost"],
    ["rotates", "landed"],
    ["leaves", "landed"],
    ["makes", "landed"],
    ["asks for 2", "landed"],
    ["ends or stops", "landed"],
    ["writes", "stored"],
    ["writes", "refused"],
    ["an alarm", ""],
    ["a record is believed", ""],
];

#[test]
fn no_relay_and_no_removed_device_breaks_an_invariant() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("COUNTERSIGN_SEED") {
        Some(seed) => drop(play(seed)),
        None => {
            let told: Vec<String> = (0..number("COUNTERSIGN_SEEDS").unwrap_or(SEEDS)).flat_map(play).collect();
            for happens in HAPPENS {
                let times = told.iter().filter(|line| happens.iter().all(|part| line.contains(part))).count();
                assert!(times >= 5, "{happens:?} happened {times} times: the play is too tame");
            }
        }
    }
}
