//! Random steps, seed by seed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::world::World;
use crate::{ends, invariants};

const STEPS: usize = 40;
const SEEDS: u64 = 40;

/// Plays a seed, and says what was done.
fn play(seed: u64) -> Vec<String> {
    let mut world = World::begin(seed);
    let steps = AssertUnwindSafe(|| {
        world.founds();
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

#[test]
fn no_crash_no_partition_and_no_lost_disk_breaks_an_invariant() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("COUNTERSIGN_SEED") {
        Some(seed) => drop(play(seed)),
        None => {
            let _told: Vec<String> = (0..number("COUNTERSIGN_SEEDS").unwrap_or(SEEDS)).flat_map(play).collect();
        }
    }
}
