//! Sockets under stress: who does not read is cut off, and nobody else notices.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::{Relay, Setup};
use countersign_tests::socket::{Came, Socket};
use protocol::wire::ToDevice;

/// As many readers as stay silent at once.
const SILENT: usize = 200;

/// 200 sockets that never acknowledge, and a chain that fills: memory stays bounded, and a reader that reads gets everything.
#[test]
fn two_hundred_silent_readers_cost_bounded_memory_and_nobody_else_is_held_up() {
    let relay = Setup::default().with("timeouts.idle = \"5s\"").start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let mut reader = Socket::of_member(&laptop);
    let mut silent: Vec<Socket> = (0..SILENT).map(|_| Socket::of_member(&laptop)).collect();
    let before = relay.process().resident_kib();
    let value = vec![7; 200 * 1024];
    for at in 1..=40 {
        laptop.writes(&format!("big {at}"), &value);
        // At once: on a busy machine forty writes take longer than a reader may owe an acknowledgement.
        reader.until("each", |message| match message {
            ToDevice::Records(page) if page.cursor.number == at => Some(()),
            _ => None,
        });
    }
    let phone = Joiner::ask(Reach::to(&relay), &laptop.code(), "phone");
    reader.until("a request behind them", |message| match message {
        ToDevice::Requested(open) => (*open.request == **phone.request.bytes()).then_some(()),
        _ => None,
    });
    let grown = relay.process().resident_kib().saturating_sub(before) / 1024;
    // Unbounded queues would hold 40 × 200 KiB for each of them: 1,600 MiB.
    assert!(grown < 400, "{grown} MiB more than before");
    // At most four data messages come without an acknowledgement.
    let first = silent.first_mut().unwrap();
    let mut data = 0;
    loop {
        match first.receive() {
            Came::Message(ToDevice::Records(_) | ToDevice::Entries(_)) => data += 1,
            Came::Message(_) => {}
            Came::Closed(code) => {
                assert!(code == 4408 || code == 0, "too slow, or the connection itself was cut: {code}");
                break;
            }
        }
        assert!(data <= 4, "{data} data messages and no acknowledgement");
    }
}

#[test]
fn what_no_device_sends_ends_the_socket() {
    let relay = Relay::start();
    let laptop = Member::found(Reach::to(&relay), "laptop");
    for bytes in [vec![], vec![0xff], vec![0; 5000]] {
        let mut socket = Socket::of_member(&laptop);
        socket.send(&bytes);
        let code = socket.closed();
        assert!([4400, 1009, 0].contains(&code), "{} bytes: {code}", bytes.len());
    }
    let (mut socket, _) = Socket::dial(&laptop.line);
    socket.send(b"no Connect");
    assert!([4400, 4401].contains(&socket.closed()));
}

#[test]
fn a_member_that_comes_back_is_sent_what_it_missed_and_no_more() {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    laptop.writes("a", b"1");
    let mut socket = Socket::of_member(&laptop);
    let cursor = socket.until("the first record", |message| match message {
        ToDevice::Records(page) => Some(page.cursor),
        _ => None,
    });
    drop(socket);
    laptop.writes("b", b"2");
    let (mut socket, challenge) = Socket::dial(&laptop.line);
    let mut connect = laptop.connect(challenge.nonce);
    connect.cursor = Some(cursor);
    socket.prove(connect, &laptop.keys);
    let rows = socket.until("what it missed", |message| match message {
        ToDevice::Records(page) => Some(page.rows.clone()),
        _ => None,
    });
    assert_eq!(rows.len(), 1);
    assert_eq!(laptop.opens_row(&rows[0]).id, "b");
}

/// Connections that say nothing, or a byte at a time and never the end, are cut off; who speaks is served meanwhile.
#[test]
fn whoever_never_finishes_its_handshake_is_cut_off() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let relay = Setup::default().with("timeouts.handshake = \"2s\"").start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let caller = relay.caller();
    let mut slow = countersign_tests::wait::run("dialling", async {
        let mut slow = Vec::new();
        for at in 0..100_usize {
            let mut stream = caller.dial().await.unwrap();
            stream.write_all(&b"GET /v1/socket HTTP/1.1\r\nHost: x\r\nX: "[..at % 37]).await.unwrap();
            slow.push(stream);
        }
        slow
    });
    laptop.writes("meanwhile", b"served");
    assert_eq!(laptop.reads("meanwhile").value.0, b"served");
    countersign_tests::wait::run("being cut off", async {
        for stream in &mut slow {
            // What it may be told first does not matter; that it ends does.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    });
    // A socket that was opened and never proves itself ends too.
    let (mut socket, _) = Socket::dial(&laptop.line);
    assert!([4401, 4408, 0].contains(&socket.closed()));
}

/// More connections than are allowed: the oldest unproven go, members stay.
#[test]
fn a_flood_of_connections_does_not_put_a_member_out() {
    let relay = Setup::default().with("limits.connections_unproven = 20").start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let mut member = Socket::of_member(&laptop);
    let caller = relay.caller();
    let flood = countersign_tests::wait::run("dialling", async {
        let mut flood = Vec::new();
        for _ in 0..200 {
            flood.extend(caller.dial().await);
        }
        flood
    });
    laptop.writes("behind the flood", b"x");
    member.until("the record", |message| matches!(message, ToDevice::Records(_)).then_some(()));
    drop(flood);
}
