//! Whole joins, one at a time and many at once.

use super::Bench;
use super::child::{Relay, Transport};
use super::clock::Start;
use super::dial::Place;
use super::figure::Aim;
use super::floor::{self, Floor};
use super::join::Join;
use super::spread::{Times, each, float};

/// Joins that are prepared at a time: as many as finish before the first challenge is too old.
const PREPARED: usize = 160;
const AT_ONCE: usize = 32;

/// What a number of joins took: the times of each, the time of all, and the relay's processor time, in seconds.
#[derive(Default)]
struct Taken {
    micros: Vec<f64>,
    seconds: f64,
    cpu: f64,
}

struct Field {
    relay: Relay,
    place: Place,
    pins: std::path::PathBuf,
    next: u32,
}

impl Field {
    /// Prepares joins, then runs them, so many at once.
    async fn run(&mut self, count: usize, at_once: usize, taken: &mut Taken) {
        let numbers: Vec<u32> = (self.next..).take(count).collect();
        self.next += u32::try_from(count).expect("a few");
        let (place, pins) = (self.place.clone(), self.pins.clone());
        let joins = each(numbers, 8, move |number| Join::prepare(place.clone(), pins.clone(), number)).await;
        let (cpu, start) = (self.relay.process.cpu_seconds(), Start::now());
        taken.micros.extend(each(joins, at_once, Join::run).await);
        taken.seconds += start.seconds();
        taken.cpu += self.relay.process.cpu_seconds() - cpu;
    }
}

/// The floors of each round.
#[derive(Default)]
struct Floors {
    /// Of one join, in microseconds.
    least: Vec<f64>,
    /// Of the relay's own verifications in one join, in microseconds.
    own: Vec<f64>,
    /// Of joins a second.
    rate: Vec<f64>,
}

pub(super) async fn run(bench: &mut Bench) {
    let relay = Relay::start(&bench.folder.path().join("joins"), Transport::Plain);
    let pins = bench.folder.path().join("pins");
    std::fs::create_dir_all(&pins).expect("a folder");
    let mut field = Field { place: Place::of(&relay), relay, pins, next: 0 };
    let rounds = bench.options.rounds(5);
    let (mut single, mut many) = (Taken::default(), Taken::default());
    field.run(32, 4, &mut Taken::default()).await;
    let mut floors = Floors::default();
    for _ in 0..rounds {
        // In each round: what a commit costs changes from one minute to the next.
        let floor = Floor::measure(bench).await;
        floors.least.push(floor.join_crypto() + 4.0 * (floor.commit + floor.post));
        floors.own.push(5.0 * floor.verify);
        field.run(60, 1, &mut single).await;
        floors.rate.push(floor::joins_rate(bench, floor, AT_ONCE).await);
        field.run(PREPARED, AT_ONCE, &mut many).await;
    }
    report(bench, floors, &single, &many);
}

fn report(bench: &mut Bench, floors: Floors, single: &Taken, many: &Taken) {
    let table = &mut bench.table;
    table.section("Whole joins, each in a chain of its own, from the joiner's POST to its opened welcome");
    let p50 = |values: Vec<f64>| Times::of(values).p50();
    let (least, own, rate) = (p50(floors.least), p50(floors.own), p50(floors.rate));
    let is = "5 sign, 10 verify, HPKE seal and open, 4 commits, 4 round trips";
    let times = Times::of(single.micros.clone());
    table.beside("one at a time, p50", (times.p50(), "us"), (least, is), Aim::TimesFloorAtMost(1.5));
    table.beside("one at a time, p99", (times.p99(), "us"), (least, is), Aim::None);
    let times = Times::of(many.micros.clone());
    let is = "the cores with that cryptography and 4 durable posts to bare hyper";
    table.beside("32 at once", (float(many.micros.len()) / many.seconds, "/s"), (rate, is), Aim::OfFloorAtLeast(0.6));
    table.plain("32 at once, p99", times.p99() / 1000.0, "ms", Aim::AtMost(40.0));
    let cpu = |taken: &Taken| taken.cpu * 1e6 / float(taken.micros.len());
    let own = (own, "its own five verifications");
    table.beside("relay CPU per join, 32 at once", (cpu(many), "us"), own, Aim::TimesFloorAtMost(2.5));
    table.beside("relay CPU per join, one at a time", (cpu(single), "us"), own, Aim::None);
}
