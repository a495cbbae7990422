//! What survives a restart.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Poll;

use protocol::wire::{Stage, Standing, ToDevice};

use crate::harness::{House, Joiner, Member, admitted};

/// Whether a future is not done after it was polled once.
async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn a_request_with_its_rounds_survives_a_restart_and_the_same_bytes_get_the_same_answers() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let mut phone = Joiner::new(laptop.keyring.code());
    phone.asks(&house).await;
    let nonce = laptop.nonce(phone.id(), 1);
    house.post("/v1/nonces", nonce.bytes()).await;

    let house = house.restart().await;
    let again: Standing = phone.asks(&house).await.decode();
    assert_eq!((again.stage, again.nonces.len()), (Stage::Code, 1));
    assert_eq!(house.post("/v1/nonces", nonce.bytes()).await.status, 200);
    let mut screen = laptop.connects(&house, None).await;
    assert!(matches!(screen.next().await, ToDevice::Requested(open) if open.rounds.len() == 1));
    let answer = phone.rounds.answer(nonce.clone(), &phone.keys.signing).unwrap();
    assert_eq!(house.post("/v1/reveals", answer.reveal.bytes()).await.status, 200);
    let admit = laptop.admits(&phone, &nonce, &answer.reveal, &answer.code.digits());
    let appended: protocol::wire::Appended = house.append(&admit).await.decode();

    let house = house.restart().await;
    assert_eq!(house.append(&admit).await.decode::<protocol::wire::Appended>(), appended);
    assert_eq!(phone.standing(&house).await.stage, Stage::Admitted);
    laptop.follows(&admit);
    let _ = laptop.connects(&house, None).await;
}

/// Each entry of the log is verified then. On the thread that serves sockets, everybody beside this one would wait for it.
#[tokio::test]
async fn after_a_restart_a_joiner_has_its_log_verified_on_a_thread_for_reads() {
    let house = House::start().await;
    let mut laptop = Member::founds(&house).await;
    let phone = admitted(&house, &mut laptop).await;
    let house = house.restart().await;
    // Every thread for reads is held, so what goes to one waits.
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let reads = std::iter::repeat_with(|| {
        let held = std::sync::Arc::clone(&held);
        Box::pin(house.relay.store.read(move |_| Ok(held.lock().unwrap().recv().is_err())))
    });
    let mut reads: Vec<_> = reads.take(64).collect();
    for read in &mut reads {
        assert!(is_pending(read.as_mut()).await);
    }
    let mut standing = pin!(house.relay.standing(phone.id(), phone.keys.id()));
    assert!(is_pending(standing.as_mut()).await);
    drop(release);
    for read in reads {
        assert!(read.await.unwrap());
    }
    assert_eq!(standing.await.unwrap().1.stage, Stage::Admitted);
    assert!(!is_pending(pin!(house.relay.standing(phone.id(), phone.keys.id()))).await, "and in place from then on");
}
