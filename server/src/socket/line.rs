//! What a session waits for: its device, and news.

use std::task::Poll;

use futures_util::future::poll_fn;
use tokio::time::Instant;

use super::link::{Ended, Link};
use crate::registry::{News, Seat};

/// A session's link, and its place in the registry.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) link: Link,
    pub(super) seat: Seat,
}

/// What came.
#[derive(Debug)]
pub(super) enum Event {
    /// Something may be new, or the time has come.
    News(News),
    /// The device gave a sign of life: a message, or a control frame.
    Received(Option<Vec<u8>>),
}

impl Line {
    /// What a session begins with, which was rung before it read anything: without this, a device whose ping came in first would be
    /// answered before it was told what stands.
    pub(super) async fn first_news(&mut self) -> Result<News, Ended> {
        let news = poll_fn(|cx| self.seat.poll_news(cx)).await;
        if news.has(News::DRAINING) { Err(Ended::Draining) } else { Ok(news) }
    }

    /// Waits until something comes, or until about `by`.
    pub(super) async fn wait(&mut self, by: Instant) -> Result<Event, Ended> {
        self.seat.wake_by(by);
        // What it sent comes first: an acknowledgement makes room for the news. The runtime's budget sees to it that a device that
        // sends without a pause does not put off its own time-outs.
        let event = poll_fn(|cx| match self.link.poll_receive(cx) {
            Poll::Ready(received) => Poll::Ready(received.map(Event::Received)),
            Poll::Pending => self.seat.poll_news(cx).map(|news| Ok(Event::News(news))),
        });
        match event.await? {
            Event::News(news) if news.has(News::DRAINING) => Err(Ended::Draining),
            event => Ok(event),
        }
    }
}
