//! The straight line: without it, no random step means anything.

use std::rc::Rc;
use std::time::Duration;

use crate::ends;
use crate::invariants;
use crate::people::{Decision, Errand};
use crate::world::{World, Write};

const SOON: Duration = Duration::from_secs(60);

impl World {
    pub(crate) fn done(&mut self, number: u64) -> String {
        assert!(self.pass_until_idle(SOON), "{:?}", self.told);
        invariants::hold(self);
        self.answers.get(&number).cloned().unwrap_or_else(|| panic!("{:#?}", self.told))
    }

    pub(crate) fn founds(&mut self) {
        let begun = self.send(0, "founds", Errand::Begin);
        assert_eq!(self.done(begun), "founded");
        self.pass(Duration::from_secs(1));
    }

    pub(crate) fn lets_in(&mut self, by: usize, joiner: usize) {
        let number = self.number(joiner, "joins");
        let joiner = Rc::clone(&self.desks[joiner]);
        let invited = self.send(by, "invites", Errand::Invite { joiner, number, decision: Decision::Admit });
        assert_eq!(self.done(invited), "admitted");
        assert_eq!(self.answers.get(&number).map(String::as_str), Some("joined"));
        self.pass(Duration::from_secs(1));
    }

    pub(crate) fn writes_down(&mut self, by: usize, id: &str, value: &str) {
        let (id, value) = (id.to_owned(), Some(value.to_owned()));
        let began = self.now();
        let errand = Errand::Write { id: id.clone(), value: value.clone(), queue: false };
        let number = self.send(by, "writes", errand);
        let home = self.desks[by].home();
        self.writes.push(Write { number, home, id, value, began, acknowledged: None });
        assert_eq!(self.done(number), "written");
    }
}

#[test]
fn a_device_joins_writes_and_is_removed() {
    let mut world = World::begin(1);
    world.founds();
    world.lets_in(0, 1);
    world.lets_in(1, 2);
    world.writes_down(1, "shopping", "milk");
    world.writes_down(2, "shopping", "bread");
    let removed = world.send(0, "removes 1", Errand::Remove { name: "device-1".to_owned(), reason: "lost" });
    assert_eq!(world.done(removed), "landed");
    world.writes_down(2, "shopping", "cheese");
    let refused = world.send(1, "writes", Errand::Write { id: "note".to_owned(), value: None, queue: false });
    assert!(world.pass_until_idle(SOON) && !world.answers.contains_key(&refused), "{:#?}", world.told);
    ends::well(&mut world);
    assert!(world.told.last().unwrap().contains("reads"), "{:#?}", world.told);
}
