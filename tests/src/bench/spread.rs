//! Many at a time, and what their times are like.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

/// Measured times, in order of size.
#[derive(Debug, Clone, Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn of(mut micros: Vec<f64>) -> Self {
        micros.sort_by(f64::total_cmp);
        Self(micros)
    }

    /// The time that so many of a hundred stayed below.
    pub(super) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.0.len() * percent).div_ceil(100).clamp(1, self.0.len().max(1)) - 1;
        self.0.get(index).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn p50(&self) -> f64 {
        self.percentile(50)
    }

    pub(super) fn p99(&self) -> f64 {
        self.percentile(99)
    }
}

/// A count as a number to divide by.
pub(super) fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Runs a job for each item, so many at a time, and hands back what they yield in no order.
pub(super) async fn each<T, R, F>(items: Vec<T>, at_once: usize, job: impl Fn(T) -> F + Send + Sync + 'static) -> Vec<R>
where
    T: Send + 'static,
    R: Send + 'static,
    F: Future<Output = R> + Send,
{
    let (queue, job) = (Arc::new(Mutex::new(VecDeque::from(items))), Arc::new(job));
    let mut workers = JoinSet::new();
    for _ in 0..at_once {
        let (queue, job) = (Arc::clone(&queue), Arc::clone(&job));
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(item) = next else { return done };
                done.push(job(item).await);
            }
        });
    }
    workers.join_all().await.into_iter().flatten().collect()
}
