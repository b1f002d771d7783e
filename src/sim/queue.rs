//! What comes next, by time, and by order of entry at the same time.

use std::collections::BTreeMap;

use crate::model::Millis;

/// Events in the order in which they come due.
#[derive(Clone, Debug)]
pub(super) struct Queue<E> {
    events: BTreeMap<(Millis, u64), E>,
    entered: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            entered: 0,
        }
    }
}

impl<E> Queue<E> {
    /// Enters an event.
    pub(super) fn push(&mut self, at: Millis, event: E) {
        self.events.insert((at, self.entered), event);
        self.entered += 1;
    }

    /// When the next event is due.
    pub(super) fn next_at(&self) -> Option<Millis> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next event that is due by now.
    pub(super) fn pop_due(&mut self, now: Millis) -> Option<E> {
        let entry = self.events.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_by_entry() {
        let mut queue = Queue::default();
        for (at, event) in [(5, 'c'), (3, 'a'), (5, 'd'), (4, 'b')] {
            queue.push(at, event);
        }
        assert_eq!(queue.pop_due(2), None);
        let order: String = std::iter::from_fn(|| queue.pop_due(5)).collect();
        assert_eq!((order.as_str(), queue.next_at()), ("abcd", None));
    }
}
