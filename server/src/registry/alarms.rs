//! When sessions asked to be woken, in coarse steps.
//!
//! A timer of its own would cost each session a hundred bytes, and the relay a wake-up for each ping. Here all that are due in the
//! same quarter of a second are woken together.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::bell::Bell;
use crate::clock;

/// How late a session may be woken. Its time-outs are seconds.
const STEP: Duration = Duration::from_millis(250);

/// A step, counted from the start.
pub(super) type Step = u64;

#[derive(Debug)]
pub(super) struct Alarms {
    begun: Instant,
    set: Mutex<BTreeMap<Step, Vec<Weak<Bell>>>>,
    /// Told when an alarm is set that comes before all others.
    sooner: Notify,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { begun: clock::instant(), set: Mutex::default(), sooner: Notify::new() }
    }
}

impl Alarms {
    /// The first step that is not before a time.
    pub(super) fn step_of(&self, at: Instant) -> Step {
        let steps = at.saturating_duration_since(self.begun).as_millis().div_ceil(STEP.as_millis());
        Step::try_from(steps).unwrap_or(Step::MAX)
    }

    pub(super) fn set(&self, step: Step, bell: Weak<Bell>) {
        let mut set = self.lock();
        if set.first_key_value().is_none_or(|(first, _)| step < *first) {
            self.sooner.notify_one();
        }
        set.entry(step).or_default().push(bell);
    }

    /// Waits until a step is over for which an alarm was set, and takes those who set it.
    pub(super) async fn due(&self) -> Vec<Weak<Bell>> {
        loop {
            let next = self.lock().first_key_value().map(|(step, _)| self.end_of(*step));
            tokio::select! {
                () = sleep_until(next.unwrap_or(self.begun)), if next.is_some() => {
                    if let Some((_, due)) = self.lock().pop_first() {
                        return due;
                    }
                }
                () = self.sooner.notified() => {}
            }
        }
    }

    fn end_of(&self, step: Step) -> Instant {
        self.begun + STEP * u32::try_from(step).unwrap_or(u32::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Step, Vec<Weak<Bell>>>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::bell::News;
    use super::*;

    #[tokio::test]
    async fn all_of_a_step_are_due_together_and_one_that_is_set_later_may_come_first() {
        let alarms = Arc::new(Alarms::default());
        let bells: Vec<_> = (0..3).map(|_| Arc::new(Bell::rung(News::NONE))).collect();
        let start = alarms.begun;
        let set = |bell: &Arc<Bell>, millis| {
            alarms.set(alarms.step_of(start + Duration::from_millis(millis)), Arc::downgrade(bell));
        };
        set(&bells[0], 1_490);
        set(&bells[1], 1_260);
        let waiting = tokio::spawn({
            let alarms = Arc::clone(&alarms);
            async move { [alarms.due().await.len(), alarms.due().await.len()] }
        });
        tokio::task::yield_now().await;
        set(&bells[2], 10);
        assert_eq!(waiting.await.unwrap(), [1, 2]);
        assert!(clock::instant() - start >= Duration::from_millis(1_490), "nobody is woken early");
    }
}
