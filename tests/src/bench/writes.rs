//! Durable signed writes and signed reads. Everything is signed before the clock starts.

use bytes::Bytes;

use super::Bench;
use super::child::{Relay, Transport};
use super::clock::Start;
use super::device::{Device, SignedRead, chains};
use super::dial::{Http, Place, address_of};
use super::figure::Aim;
use super::floor::{Floor, bare_rate};
use super::spread::{Times, each, float};

/// Devices that write singly, each in a chain of its own.
const WRITERS: usize = 64;
/// Devices that write in batches.
const BATCHERS: usize = 8;
/// Records of a batch.
const BATCH: usize = 100;

/// Hands each connection its share of what is to be sent.
async fn shares<T>(place: &Place, connections: usize, items: Vec<T>) -> Vec<(Http, Vec<T>)> {
    let mut shares = Vec::new();
    for number in 0..connections {
        let from = address_of(0x00e0_0000 + u32::try_from(number).expect("a few"));
        shares.push((place.http(from).await, Vec::new()));
    }
    for (index, item) in items.into_iter().enumerate() {
        shares[index % connections].1.push(item);
    }
    shares
}

/// Puts a second, over so many connections at once. The puts of a device must lie a multiple of their number apart.
pub(super) async fn put_rate(place: &Place, connections: usize, puts: Vec<Bytes>) -> f64 {
    let count = float(puts.len());
    let shares = shares(place, connections, puts).await;
    let start = Start::now();
    each(shares, connections, |(mut http, puts)| async move {
        for body in puts {
            http.post("/v1/records", body).await;
        }
    })
    .await;
    count / start.seconds()
}

/// Reads a second, over so many connections at once.
pub(super) async fn read_rate(place: &Place, connections: usize, reads: Vec<SignedRead>) -> f64 {
    let count = float(reads.len());
    let shares = shares(place, connections, reads).await;
    let start = Start::now();
    each(shares, connections, |(mut http, reads)| async move {
        for read in reads {
            read.send(&mut http).await;
        }
    })
    .await;
    count / start.seconds()
}

/// What writers write singly, in turns.
fn puts(writers: &mut [Device], written: &mut usize, each: usize) -> Vec<Bytes> {
    let mut puts = Vec::new();
    for _ in 0..each {
        puts.extend(writers.iter_mut().map(|writer| writer.puts(*written, 1)));
        *written += 1;
    }
    puts
}

pub(super) async fn run(bench: &mut Bench) {
    let relay = Relay::start(&bench.folder.path().join("writes"), Transport::Plain);
    let place = Place::of(&relay);
    let mut devices = chains(&place, WRITERS, 1, 0).await;
    let (mut written, rounds) = (0, bench.options.rounds(10).max(3));
    let before = Floor::measure(bench).await;
    let (mut single, mut single_bare, mut batched, mut read, mut read_bare) =
        <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    let mut cpu = 0.0;
    for _ in 0..rounds {
        single_bare.push(bare_rate(bench, "/both", WRITERS, 60).await);
        let body = puts(&mut devices, &mut written, 60);
        let before = relay.process.cpu_seconds();
        single.push(put_rate(&place, WRITERS, body).await);
        cpu += relay.process.cpu_seconds() - before;
        let reads = (0..60).flat_map(|item| devices.iter().map(move |device| (device, item)));
        let reads = reads.map(|(device, item)| device.reads(&place, &format!("item {item}"))).collect();
        read_bare.push(bare_rate(bench, "/verify", WRITERS, 60).await);
        read.push(read_rate(&place, WRITERS, reads).await);
        let mut bodies = Vec::new();
        for _ in 0..8 {
            bodies.extend(devices.iter_mut().take(BATCHERS).map(|device| device.puts(1_000_000 + written, BATCH)));
            written += BATCH;
        }
        batched.push(float(BATCH) * put_rate(&place, BATCHERS, bodies).await);
    }
    let floor = before.between(Floor::measure(bench).await);
    let p50 = |values: Vec<f64>| Times::of(values).p50();
    let (single, single_bare) = (p50(single), p50(single_bare));
    let table = &mut bench.table;
    table.section("Durable signed writes and signed reads");
    let is = "bare hyper that verifies one signature and syncs";
    table.beside("writes, singly from 64 devices", (single, "/s"), (single_bare, is), Aim::OfFloorAtLeast(0.6));
    let verified = (floor.verified_on_all, "strict verifications of all cores");
    table.beside("writes, batches of 100 from 8", (p50(batched), "/s"), verified, Aim::OfFloorAtLeast(0.8));
    let is = (p50(read_bare), "bare hyper that verifies one signature");
    table.beside("reads of one item, 64 devices", (p50(read), "/s"), is, Aim::None);
    let cpu = cpu * 1e6 / float(rounds * WRITERS * 60);
    table.beside("relay CPU per single write", (cpu, "us"), (floor.verify, "one verification"), Aim::None);
}
