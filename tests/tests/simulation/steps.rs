//! One step: somebody does something, or something breaks.

use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use crate::observed::Log;
use crate::people::{Closing, Decision, Errand};
use crate::world::{DEVICES, Link, Power, World, Write};

/// What somebody may have under way at a time.
const BUSY: usize = 2;
/// Names of items, few enough that writes meet.
const ITEMS: usize = 3;

impl World {
    pub(crate) fn step(&mut self) {
        self.somebody_repairs();
        let members: Vec<usize> = (0..DEVICES).filter(|at| self.is_member(*at)).collect();
        let anybody = self.dice.below(DEVICES);
        let who = if self.dice.one_in(4) { anybody } else { self.dice.pick(&members).unwrap_or(anybody) };
        if self.observed.forked_at().is_some() && self.dice.one_in(6) {
            self.settles(who);
        }
        match self.dice.below(48) {
            0..=8 => self.invites(who),
            9 | 10 => self.decides(who),
            11..=13 => self.removes(who),
            14 | 15 => self.calls(who, "rotates", "/code/rotate"),
            16 if self.dice.one_in(2) => self.calls(who, "leaves", "/leave"),
            16..=18 => self.changes_role(who),
            19 | 20 => self.changes_policy(who),
            21..=24 => self.agrees(who),
            25 => self.closes(who),
            26 => self.does(who, "rekeys", Errand::Call { route: "/records/rekey", body: Some(json!({ "after": 0 })) }),
            27..=35 => self.writes(who),
            36 => self.settles(who),
            37..=40 => self.changes_link(who),
            41 | 42 => self.crashes_or_starts(who),
            43..=45 => self.relay_crashes_or_starts(),
            _ => self.starts_over(who),
        }
        // Often the next thing happens while this one is under way.
        let longest = self.dice.pick(&[60, 600, 6000]).unwrap();
        let pause = self.dice.below(longest);
        self.pass(Duration::from_millis(pause as u64));
    }

    /// What broke does not stay so for long, or nothing would happen.
    fn somebody_repairs(&mut self) {
        if self.relay == Power::Off && self.dice.one_in(3) {
            self.relay_crashes_or_starts();
        }
        let who = self.dice.below(DEVICES);
        if self.power[who] == Power::Off {
            self.start(who);
        } else if self.links[who] != Link::Whole && self.dice.one_in(3) {
            self.set_link(who, Link::Whole);
        }
    }

    fn is_member(&self, who: usize) -> bool {
        self.desks[who].member.borrow().is_some()
    }

    fn does(&mut self, who: usize, what: &str, errand: Errand) {
        if self.is_member(who) && self.busy(who) < BUSY {
            self.send(who, what, errand);
        }
    }

    fn calls(&mut self, who: usize, what: &str, route: &'static str) {
        self.does(who, what, Errand::Call { route, body: Some(json!({})) });
    }

    fn decision(&mut self) -> Decision {
        match self.dice.below(12) {
            0 => Decision::Deny,
            1 => Decision::NotMe,
            2 => Decision::Mistype,
            3 => Decision::MistypeAndAdmit,
            _ => Decision::Admit,
        }
    }

    fn invites(&mut self, who: usize) {
        let free = |at: &usize| self.power[*at] == Power::On && self.kept(*at).is_none() && self.busy(*at) == 0;
        let fresh: Vec<usize> = (0..DEVICES).filter(free).collect();
        let Some(joiner) = self.dice.pick(&fresh) else {
            (0..DEVICES).for_each(|number| self.starts_over(number));
            return;
        };
        if !self.is_member(who) || self.busy(who) >= BUSY {
            return;
        }
        let decision = self.decision();
        let number = self.number(joiner, &format!("joins with {who}"));
        let joiner_desk = Rc::clone(&self.desks[joiner]);
        let errand = Errand::Invite { joiner: joiner_desk, number, decision };
        self.send(who, &format!("invites {joiner} ({decision:?})"), errand);
    }

    /// Another approver, or the same one again, sees to somebody who waits.
    fn decides(&mut self, who: usize) {
        let waits = |at: &usize| self.kept(*at).is_some_and(|kept| !kept.is_member);
        let waiting: Vec<usize> = (0..DEVICES).filter(waits).collect();
        let Some(joiner) = self.dice.pick(&waiting) else { return };
        let decision = self.decision();
        let errand = Errand::Decide { joiner: Rc::clone(&self.desks[joiner]), decision };
        self.does(who, &format!("decides on {joiner} ({decision:?})"), errand);
    }

    fn removes(&mut self, who: usize) {
        let whom = self.dice.below(DEVICES);
        let reason = self.dice.pick(&["lost", "retired"]).unwrap();
        if whom != who {
            let name = self.desks[whom].name.clone();
            self.does(who, &format!("removes {whom} ({reason})"), Errand::Remove { name, reason });
        }
    }

    fn agrees(&mut self, who: usize) {
        self.does(who, "agrees", Errand::Agree { reason: "lost" });
    }

    fn changes_role(&mut self, who: usize) {
        let whose = self.dice.below(DEVICES);
        let role = self.dice.pick(&["approver", "approver", "approver", "writer", "reader"]).unwrap();
        let name = self.desks[whose].name.clone();
        self.does(who, &format!("makes {whose} {role}"), Errand::Role { name, role });
    }

    fn changes_policy(&mut self, who: usize) {
        let quorum = self.dice.below(2) + 1;
        let field = self.dice.pick(&["quorum_admit", "quorum_remove", "quorum_policy", "quorum_closing"]).unwrap();
        let mut wish = json!({ "accepted": [] });
        wish[field] = json!(quorum);
        self.does(who, &format!("asks for {field} {quorum}"), Errand::Policy { wish });
    }

    fn closes(&mut self, who: usize) {
        let what = self.dice.pick(&[Closing::Announce, Closing::Veto, Closing::Veto, Closing::End]).unwrap();
        self.does(who, &format!("closing: {what:?}"), Errand::Closing(what));
    }

    fn writes(&mut self, who: usize) {
        if !self.is_member(who) || self.busy(who) >= BUSY {
            return;
        }
        let id = format!("item {}", self.dice.below(ITEMS));
        let deletes = self.dice.one_in(6);
        let began = self.now();
        let home = self.desks[who].home();
        let value = (!deletes).then(|| format!("{id} of {who} at {began:?}"));
        let queue = self.dice.one_in(4);
        let errand = Errand::Write { id: id.clone(), value: value.clone(), queue };
        let what = format!("{} {id}", if queue { "queues" } else { "writes" });
        let number = self.send(who, &what, errand);
        // What is only queued is acknowledged by nobody but the device.
        let number = if queue { 0 } else { number };
        self.writes.push(Write { number, home, id, value, began, acknowledged: None });
    }

    fn settles(&mut self, who: usize) {
        let other = self.dice.one_in(2);
        self.does(who, "settles", Errand::Settle { other });
    }

    fn changes_link(&mut self, who: usize) {
        let link = self.dice.pick(&[Link::Whole, Link::Held, Link::Cut]).unwrap();
        let link = if self.links[who] == Link::Whole { link } else { Link::Whole };
        if link != self.links[who] {
            self.set_link(who, link);
        }
    }

    fn crashes_or_starts(&mut self, who: usize) {
        match self.power[who] {
            Power::On => self.crash(who),
            Power::Off => self.start(who),
        }
    }

    /// It may come back with an earlier disk, or with one that it had when it went back.
    fn relay_crashes_or_starts(&mut self) {
        if self.relay == Power::On {
            self.crash_relay();
            return;
        }
        let disks = self.disks.len();
        let change = disks > 0 && self.dice.one_in(2);
        if disks == 0 || self.dice.one_in(2) {
            self.keep_disk();
        }
        if change {
            // Often the latest one that is older: what was lost is little, and heals.
            let number = if self.dice.one_in(2) { self.dice.below(disks) } else { disks - 1 };
            self.change_disk(number);
        }
        self.start_relay();
        if change && self.dice.one_in(2) {
            self.all_but_one_are_away();
        }
    }

    /// Whoever is left finds the older disk first. If it knows nothing of what was lost, it goes on there, and the log forks.
    fn all_but_one_are_away(&mut self) {
        let relay = self.observed.at_relay(&self.relay_folder());
        let length = relay.map_or(0, |relay| relay.log.entries.len());
        let knows_no_more = |at: &usize| self.kept(*at).is_some_and(|kept| kept.is_member && kept.log.len() <= length);
        let behind: Vec<usize> = (0..DEVICES).filter(knows_no_more).collect();
        let left = self.dice.pick(&behind).unwrap_or_else(|| self.dice.below(DEVICES));
        for number in 0..DEVICES {
            let link = if number == left { Link::Whole } else { Link::Cut };
            if link != self.links[number] {
                self.set_link(number, link);
            }
        }
        self.writes(left);
        self.calls(left, "rotates", "/code/rotate");
    }

    /// A device that is no member any more, or whose join came to nothing, is wiped, and may join as another.
    fn starts_over(&mut self, who: usize) {
        let (Some(kept), Some(relay)) = (self.kept(who), self.observed.at_relay(&self.relay_folder())) else { return };
        let log = self.observed.log(kept.log);
        let is_member = |log: &Log| log.last().is_some_and(|last| last.roles.contains_key(&kept.device));
        // By a relay that lost nothing: a device that it forgot still is one.
        let gone = !is_member(&log) || (relay.log.entries.len() >= log.entries.len() && !is_member(&relay.log));
        if gone && self.busy(who) == 0 {
            self.tell(format!("{who} is wiped"));
            if self.power[who] == Power::On {
                self.crash(who);
            }
            self.desks[who].start_over();
            self.start(who);
        }
    }
}
