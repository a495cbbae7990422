//! The same figures with more devices and more records: they must not grow with either.

use super::Bench;
use super::child::{Relay, Transport};
use super::device::{Device, chains};
use super::dial::Place;
use super::figure::Aim;
use super::options::Length;
use super::spread::{Times, float};
use super::writes::{put_rate, read_rate};

/// Connections that write or read at once.
const AT_ONCE: usize = 64;
/// Writes, and reads, of one measurement.
const SAMPLE: usize = 4096;
/// Records of a batch while the store is filled.
const BATCH: usize = 200;

/// Writes a second and reads a second.
struct Rates {
    writes: f64,
    reads: f64,
}

/// Writes and reads spread over all devices.
async fn measure(place: &Place, devices: &mut [Device], written: &mut usize) -> Rates {
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        // A prime step visits all devices in an order that is nobody's; each device's writes stay on one connection.
        let step = (1..).map(|times| AT_ONCE * times + 1).find(|step| !devices.len().is_multiple_of(*step));
        let mut order: Vec<usize> = (0..SAMPLE).map(|index| (index * step.expect("a step")) % devices.len()).collect();
        order.sort_by_key(|index| index % AT_ONCE);
        let lanes: Vec<Vec<usize>> =
            (0..AT_ONCE).map(|lane| order.iter().copied().filter(|index| index % AT_ONCE == lane).collect()).collect();
        let longest = lanes.iter().map(Vec::len).min().unwrap_or_default();
        let mut puts = Vec::new();
        let mut gets = Vec::new();
        for turn in 0..longest {
            for lane in &lanes {
                let device = &mut devices[lane[turn]];
                *written += 1;
                puts.push(device.puts(*written, 1));
                gets.push(device.reads(place, &format!("item {written}")));
            }
        }
        writes.push(put_rate(place, AT_ONCE, puts).await);
        reads.push(read_rate(place, AT_ONCE, gets).await);
    }
    Rates { writes: Times::of(writes).p50(), reads: Times::of(reads).p50() }
}

fn report(bench: &mut Bench, name: &str, now: &Rates, first: &Rates) {
    let table = &mut bench.table;
    table.beside(
        format!("writes, {name}"),
        (now.writes, "/s"),
        (first.writes, "the smallest"),
        Aim::OfFloorAtLeast(0.8),
    );
    table.beside(format!("reads, {name}"), (now.reads, "/s"), (first.reads, "the smallest"), Aim::OfFloorAtLeast(0.8));
}

pub(super) async fn run(bench: &mut Bench) {
    bench.table.section("Growth: single writes and reads, spread over all devices, beside the same with the fewest");
    devices(bench).await;
    records(bench).await;
}

async fn devices(bench: &mut Bench) {
    let relay = Relay::start(&bench.folder.path().join("devices"), Transport::Plain);
    let place = Place::of(&relay);
    let mut written = 0;
    let mut all = chains(&place, 250, 4, 0).await;
    let few = measure(&place, &mut all, &mut written).await;
    report(bench, "1,000 devices", &few, &few);
    all.extend(chains(&place, 2250, 4, 1000).await);
    let many = measure(&place, &mut all, &mut written).await;
    report(bench, "10,000 devices", &many, &few);
    bench.table.plain("resident memory at 10,000 devices", relay.process.resident_kib() / 1024.0, "MiB", Aim::None);
}

async fn records(bench: &mut Bench) {
    let relay = Relay::start(&bench.folder.path().join("records"), Transport::Plain);
    let place = Place::of(&relay);
    let mut all = chains(&place, AT_ONCE, 1, 0).await;
    let mut written = 0;
    fill(&place, &mut all, &mut written, 1_000).await;
    let few = measure(&place, &mut all, &mut written).await;
    report(bench, "1,000 records", &few, &few);
    let rate = fill(&place, &mut all, &mut written, 100_000).await;
    let many = measure(&place, &mut all, &mut written).await;
    report(bench, "100,000 records", &many, &few);
    bench.table.plain("filling up to 100,000, in batches of 200", rate, "/s", Aim::None);
    if bench.options.length == Length::Long {
        let rate = fill(&place, &mut all, &mut written, 1_000_000).await;
        let most = measure(&place, &mut all, &mut written).await;
        report(bench, "1,000,000 records", &most, &few);
        bench.table.plain("filling up to 1,000,000, in batches of 200", rate, "/s", Aim::None);
    }
}

/// Writes until there are so many records; a second, at the last. Signing is not counted.
async fn fill(place: &Place, devices: &mut [Device], written: &mut usize, until: usize) -> f64 {
    let mut rate = f64::NAN;
    while *written < until {
        let batch = BATCH.min((until - *written).div_ceil(devices.len()));
        let mut puts = Vec::new();
        for device in devices.iter_mut() {
            puts.push(device.puts(*written, batch));
            *written += batch;
        }
        rate = put_rate(place, 8, puts).await * float(batch);
    }
    rate
}
