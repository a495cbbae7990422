//! Sockets under stress: who does not read is cut off, and nobody else notices.

use countersign_tests::actor::{Joiner, Member, Reach};
use countersign_tests::relay::Relay;
use countersign_tests::socket::{Came, Socket};
use protocol::wire::ToDevice;

/// As many readers as stay silent at once.
const SILENT: usize = 200;

/// 200 sockets that never acknowledge, and a chain that fills: memory stays bounded, and a reader that reads gets everything.
#[test]
fn two_hundred_silent_readers_cost_bounded_memory_and_nobody_else_is_held_up() {
    let relay = Relay::start();
    let mut laptop = Member::found(Reach::to(&relay), "laptop");
    let mut reader = Socket::of_member(&laptop);
    let mut silent: Vec<Socket> = (0..SILENT).map(|_| Socket::of_member(&laptop)).collect();
    let before = relay.process().resident_kib();
    let value = vec![7; 200 * 1024];
    for at in 0..40 {
        laptop.writes(&format!("big {at}"), &value);
    }
    reader.until("all forty", |message| match message {
        ToDevice::Records(page) if page.cursor.number == 40 => Some(()),
        _ => None,
    });
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
        match first.next() {
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
