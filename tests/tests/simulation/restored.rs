//! What random steps found once: relays that came back with an older disk.

use std::time::Duration;

use crate::ends;
use crate::people::Errand;
use crate::world::{Link, World};

const MOMENT: Duration = Duration::from_secs(2);

/// Three devices, and a copy of the relay's disk from when there was nothing else yet.
fn three_and_a_backup(seed: u64) -> World {
    let mut world = World::begin(seed);
    world.founds();
    world.lets_in(0, 1);
    world.lets_in(1, 2);
    world.crash_relay();
    world.keep_disk();
    world.start_relay();
    world.pass(MOMENT);
    world
}

/// The relay lost the removal of a device, and took records of it in good faith. What it pushes before a member has told it of the removal
/// waits in that member's socket until afterwards.
#[test]
fn what_a_restored_relay_took_of_a_removed_device_ends_no_session() {
    let mut world = three_and_a_backup(2);
    let removed = world.send(1, "removes 0", Errand::Remove { name: "device-0".to_owned(), reason: "lost" });
    assert_eq!(world.done(removed), "landed");
    world.pass(MOMENT);
    world.set_link(1, Link::Cut);
    world.set_link(2, Link::Cut);
    world.crash_relay();
    world.change_disk(0);
    world.start_relay();
    world.writes_down(0, "shopping", "a lie");
    world.set_link(1, Link::Whole);
    world.set_link(2, Link::Whole);
    world.pass(Duration::from_secs(120));
    ends::well(&mut world);
    world.writes_down(1, "shopping", "the truth");
    assert!(world.desks[1].ended.borrow().is_none() && world.desks[2].ended.borrow().is_none(), "{:#?}", world.told);
}

/// The relay lost a record, and another one came to its place before the member that has it was back: that member's place in the feed is
/// one that the feed has.
#[test]
fn a_restored_relay_that_came_past_a_members_place_is_read_anew_and_given_what_it_lost() {
    let mut world = three_and_a_backup(3);
    world.set_link(1, Link::Cut);
    world.writes_down(2, "lost", "and found");
    // Its writer sees it in the feed: one that is cut off before that misses it only at its next write.
    world.pass(MOMENT);
    world.set_link(0, Link::Cut);
    world.set_link(2, Link::Cut);
    world.crash_relay();
    world.change_disk(0);
    world.start_relay();
    world.set_link(1, Link::Whole);
    world.pass(Duration::from_secs(60));
    world.writes_down(1, "in its place", "by somebody who was away");
    ends::well(&mut world);
}
