//! Random steps, seed by seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::world::World;
use crate::{ends, invariants};

const STEPS: usize = 120;
const SEEDS: u64 = 20;

/// Plays a seed, and says what was done.
fn play(seed: u64) -> Vec<String> {
    let mut world = World::begin(seed);
    let steps = AssertUnwindSafe(|| {
        world.founds();
        if world.dice.one_in(2) {
            world.lets_in(0, 1);
            world.lets_in(1, 2);
        }
        for _ in 0..STEPS {
            world.step();
            invariants::hold(&world);
        }
        ends::well(&mut world);
    });
    let broke = catch_unwind(steps).is_err();
    assert!(!broke, "COUNTERSIGN_SEED={seed} after:\n  {}", world.told.join("\n  "));
    world.told
}

/// What a play is worth nothing without.
const HAPPENS: [[&str; 2]; 28] = [
    ["invites", ": admitted"],
    ["joins with", ": joined"],
    ["invites", ": agreed"],
    ["decides on", ": admitted"],
    ["(Deny)", ": denied"],
    ["(NotMe)", ": denied"],
    ["(Mistype)", ": burned"],
    ["removes", ": landed"],
    ["removes", ": proposed"],
    ["agrees", ": landed"],
    ["rotates", ": done"],
    ["leaves", ": done"],
    ["makes", ": landed"],
    ["asks for", ": landed"],
    ["Announce", ": landed"],
    ["Veto", ": vetoed"],
    ["rekeys", ": done"],
    ["writes", ": written"],
    ["queues", ": written"],
    ["writes", ": conflict"],
    ["unreachable", ""],
    ["settles", ": settled"],
    ["the relay has disk", ""],
    ["crashes", ""],
    ["is wiped", ""],
    ["ends whole", ""],
    ["ends with forked records", ""],
    ["ends forked", ""],
];

#[test]
fn no_crash_no_partition_and_no_lost_disk_breaks_an_invariant() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("COUNTERSIGN_SEED") {
        Some(seed) => drop(play(seed)),
        None => {
            let first = number("COUNTERSIGN_FIRST_SEED").unwrap_or_default();
            let told: Vec<String> =
                (first..first + number("COUNTERSIGN_SEEDS").unwrap_or(SEEDS)).flat_map(play).collect();
            for happens in HAPPENS {
                let times = told.iter().filter(|line| happens.iter().all(|part| line.contains(part))).count();
                println!("{happens:?}: {times}");
            }
        }
    }
}
