//! The agent behind an HTTP proxy that the environment names: HTTP and WebSocket go through it, and the signed origin stays the relay's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use countersign_tests::home::Home;
use countersign_tests::relay::Setup;

/// A proxy that knows one relay by whatever name it is asked for. It tells what it was asked.
fn proxy_to(relay: SocketAddr) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, tell) = (client.unwrap(), tell.clone());
            thread::spawn(move || {
                let (mut asked, mut byte) = (Vec::new(), [0]);
                while !asked.ends_with(b"\r\n\r\n") {
                    if client.read_exact(&mut byte).is_err() {
                        return;
                    }
                    asked.extend(byte);
                }
                let line = String::from_utf8_lossy(&asked).lines().next().unwrap_or_default().to_owned();
                let _ = tell.send(line);
                let relay = TcpStream::connect(relay).unwrap();
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                let (mut back_from, mut back_to) = (relay.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
                let _ = std::io::copy(&mut client, &mut &relay);
                let _ = relay.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    (format!("http://{address}"), told)
}

#[test]
fn a_chain_lives_behind_a_proxy_that_is_asked_for_tunnels_only() {
    let relay = Setup::default().known_as(&["http://relay.test"]).start();
    let (proxy, asked) = proxy_to(relay.address());
    let laptop = Home::new("laptop").with_variable("HTTP_PROXY", &proxy);
    let founded = laptop.types(&[
        "init",
        "--no-recovery",
        "--relay",
        "http://relay.test",
        "--name",
        "laptop",
        "--accept-risk=plaintext",
    ]);
    assert_eq!(founded.code(), 0, "{}", founded.stderr);
    // Connected: the relay took the Connect that names its own origin, over a WebSocket.
    let daemon = laptop.runs();
    assert_eq!(laptop.puts("first", "hello").code(), 0);
    assert_eq!(laptop.gets("first"), "hello");
    drop(daemon);
    let asked: Vec<String> = asked.try_iter().collect();
    assert!(asked.len() >= 3, "one for init, one for the daemon's HTTP, one for its socket: {asked:?}");
    assert!(asked.iter().all(|line| line == "CONNECT relay.test:80 HTTP/1.1"), "{asked:?}");
}

#[test]
fn this_machine_itself_is_reached_without_a_proxy() {
    let relay = Setup::default().start();
    let (proxy, asked) = proxy_to(relay.address());
    Home::new("laptop").with_variable("HTTP_PROXY", &proxy).founds(&relay.origin());
    assert_eq!(asked.try_iter().count(), 0);
}
