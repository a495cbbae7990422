//! When sessions asked to be woken, in coarse steps.
//!
//! A timer of its own would cost each session a hundred bytes, and the relay a wake-up for each ping. Here all that are due in the
//! same quarter of a second are woken together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::bell::Bell;
use crate::clock;

/// How late a session may be woken. Its time-outs are seconds.
pub(super) const STEP: Duration = Duration::from_millis(250);

/// A step, counted from the start.
pub(super) type Step = u64;

#[derive(Debug)]
pub(super) struct Alarms {
    begun: Instant,
    set: Mutex<BTreeMap<Step, Vec<Weak<Bell>>>>,
}

impl Default for Alarms {
    fn default() -> Self {
        Self { begun: clock::instant(), set: Mutex::default() }
    }
}

impl Alarms {
    /// The first step that is not before a time.
    pub(super) fn step_of(&self, at: Instant) -> Step {
        let steps = at.saturating_duration_since(self.begun).as_millis().div_ceil(STEP.as_millis());
        Step::try_from(steps).unwrap_or(Step::MAX)
    }

    pub(super) fn set(&self, step: Step, bell: Weak<Bell>) {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).entry(step).or_default().push(bell);
    }

    /// Takes the next step that is over, with those who asked for it.
    pub(super) fn take_due(&self, now: Instant) -> Option<Vec<Weak<Bell>>> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let due = set.first_entry()?;
        let over = self.begun + STEP * u32::try_from(*due.key()).unwrap_or(u32::MAX) <= now;
        over.then(|| due.remove())
    }
}
