//! Where one session is woken, and for what.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// What changed, as bits of one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News(u8);

impl News {
    /// Entries of the log.
    pub const LOG: Self = Self(1);
    /// Records.
    pub const RECORDS: Self = Self(2);
    /// Requests, their rounds, what their joiners are told, or approvals.
    pub const REQUESTS: Self = Self(4);
    /// Everything that can be read.
    pub const ALL: Self = Self(7);
    /// The time that the session asked to be woken at.
    pub const TIME: Self = Self(8);
    /// The relay drains.
    pub const DRAINING: Self = Self(16);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What is left without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// One session's bell: it remembers what was rung for until its session looks.
#[derive(Debug)]
pub(super) struct Bell {
    news: AtomicU8,
    waker: AtomicWaker,
}

impl Bell {
    /// A bell that was rung already.
    pub(super) fn rung(news: News) -> Self {
        Self { news: AtomicU8::new(news.0), waker: AtomicWaker::new() }
    }

    pub(super) fn ring(&self, news: News) {
        // Whoever rang first has woken the session, or is about to: it takes all there is at once.
        if self.news.fetch_or(news.0, Ordering::AcqRel) == News::NONE.0 {
            self.waker.wake();
        }
    }

    /// Takes what was rung for, if anything was.
    pub(super) fn poll(&self, cx: &Context<'_>) -> Poll<News> {
        let take = || News(self.news.swap(0, Ordering::AcqRel));
        let mut news = take();
        if news == News::NONE {
            self.waker.register(cx.waker());
            // Once more: it may have been rung before there was anybody to wake.
            news = take();
        }
        if news == News::NONE { Poll::Pending } else { Poll::Ready(news) }
    }
}
