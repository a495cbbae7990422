//! Thousands of connected devices that have nothing to do: memory and processor time of the relay.

use std::time::Duration;

use protocol::wire::ToDevice;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Bench;
use super::child::{Relay, Transport};
use super::clock::Start;
use super::device::{Device, chains};
use super::dial::{Place, Socket};
use super::figure::Aim;
use super::spread::{each, float};

/// Devices of a chain: what one person has.
const OF_A_CHAIN: usize = 4;

pub(super) async fn run(bench: &mut Bench) {
    let title =
        format!("Idle members: {} devices in chains of {OF_A_CHAIN}, one push each before", bench.options.devices);
    bench.table.section(&title);
    idle(bench, Transport::Plain, 3.5).await;
    idle(bench, Transport::Tls, 11.0).await;
}

async fn idle(bench: &mut Bench, transport: Transport, aim: f64) {
    let name = if transport == Transport::Tls { "TLS" } else { "plain" };
    let folder = bench.folder.path().join(format!("crowd-{name}"));
    let mut devices = {
        let relay = Relay::start(&folder, transport);
        let mut devices = chains(&Place::of(&relay), bench.options.devices.div_ceil(OF_A_CHAIN), OF_A_CHAIN, 0).await;
        put_in_each(&Place::of(&relay), &mut devices, 0).await;
        devices
    };
    // A fresh process on the same store: what founding left in the heap would hide what a connection costs. The rosters that it
    // keeps are read first: they are bounded, and there without any connection.
    let relay = Relay::start(&folder, transport);
    let place = Place::of(&relay);
    let bare = relay.process.resident_kib();
    read_in_each(&place, &devices).await;
    let base = relay.process.resident_kib();
    let connected = {
        let place = place.clone();
        each(devices.clone(), 16, move |device| {
            let place = place.clone();
            async move { Box::pin(device.connects(&place)).await }
        })
        .await
    };
    let count = connected.len();
    let (told, mut tell) = mpsc::channel(count);
    let mut waiting: JoinSet<()> = connected.into_iter().map(|socket| wait(socket, told.clone())).collect();
    put_in_each(&place, &mut devices, 1).await;
    for _ in 0..count {
        tell.recv().await.expect("a push to each");
    }
    let (cpu, start) = (relay.process.cpu_seconds(), Start::now());
    // Not a wait for something: this idleness is what is measured.
    tokio::time::sleep(Duration::from_secs(bench.options.idle)).await;
    let per_device = (relay.process.resident_kib() - base) / float(count);
    let cpu = (relay.process.cpu_seconds() - cpu) / start.seconds();
    waiting.abort_all();
    while waiting.join_next().await.is_some() {}
    bench.table.plain(format!("memory per device, {name}"), per_device, "KiB", Aim::AtMost(aim));
    bench.table.plain(
        format!("memory for rosters per chain read, {name}"),
        (base - bare) / float(count) * 4.0,
        "KiB",
        Aim::None,
    );
    if bench.options.idle >= 30 {
        // The aim is for ten thousand devices; what pings cost grows with their number.
        let at_ten_thousand = cpu * 100.0 * 10_000.0 / float(count);
        bench.table.plain(
            format!("idle CPU for each 10,000, {name}"),
            at_ten_thousand,
            "% of a core",
            Aim::AtMost(0.5),
        );
    }
}

/// Answers pings until it is aborted; tells once that the second record arrived.
async fn wait(mut socket: Socket, told: mpsc::Sender<()>) {
    loop {
        if let ToDevice::Records(page) = socket.next().await
            && page.cursor.number == 2
        {
            told.send(()).await.expect("the benchmark");
        }
    }
}

async fn put_in_each(place: &Place, devices: &mut [Device], number: usize) {
    let puts: Vec<_> =
        devices.iter_mut().step_by(OF_A_CHAIN).map(|founder| (founder.from, founder.puts(number, 1))).collect();
    let place = place.clone();
    each(puts, 16, move |(from, body)| {
        let place = place.clone();
        async move {
            place.http(from).await.post("/v1/records", body).await;
        }
    })
    .await;
}

async fn read_in_each(place: &Place, devices: &[Device]) {
    let reads: Vec<_> =
        devices.iter().step_by(OF_A_CHAIN).map(|device| (device.from, device.reads(place, "item 0"))).collect();
    let place = place.clone();
    each(reads, 16, move |(from, read)| {
        let place = place.clone();
        async move {
            read.send(&mut place.http(from).await).await;
        }
    })
    .await;
}
