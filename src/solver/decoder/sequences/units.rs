//! What is free on one node, as units that become free one after the other.

use crate::model::Millis;

/// So many units of a resource are free from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub since: Millis,
    pub amount: i64,
}

/// The units of one resource by the time from which they are free, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units {
    runs: Vec<Run>,
}

impl Units {
    /// Units in order of time.
    pub fn new(runs: Vec<Run>) -> Self {
        Self { runs }
    }

    /// The units, in order of time.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Takes these units in the place of its own, without giving memory back.
    pub fn become_copy_of(&mut self, runs: &[Run]) {
        self.runs.clear();
        self.runs.extend_from_slice(runs);
    }

    /// When so many units are free together; never beyond the last run.
    pub fn free_from(&self, need: i64) -> Millis {
        let mut sum = 0;
        for run in &self.runs {
            sum += run.amount;
            if sum >= need {
                return run.since;
            }
        }
        Millis::MAX
    }

    /// Takes units that are free at `start`, those that became free last first, so that the others can still
    /// serve something that starts before; gives them back at `end`, which is after `start`.
    ///
    /// There are few runs and this is the innermost loop of all, so they are moved one by one.
    pub fn take(&mut self, need: i64, start: Millis, end: Millis) {
        let runs = &mut self.runs;
        let mut next = 0;
        while next < runs.len() && runs[next].since <= start {
            next += 1;
        }
        // Of the runs before `next` those from `gap` on are used up, and of the one before maybe a part.
        let (mut gap, mut left) = (next, need);
        while left > 0 && gap > 0 {
            let run = &mut runs[gap - 1];
            if run.amount > left {
                run.amount -= left;
                break;
            }
            left -= run.amount;
            gap -= 1;
        }
        let back = Run {
            since: end,
            amount: need,
        };
        if gap == next {
            let mut place = runs.len();
            runs.push(back);
            while place > next && runs[place - 1].since >= end {
                runs[place] = runs[place - 1];
                place -= 1;
            }
            runs[place] = back;
            return;
        }
        // What ends before moves into the gap, and what is left of the gap closes behind.
        while next < runs.len() && runs[next].since < end {
            runs[gap] = runs[next];
            gap += 1;
            next += 1;
        }
        runs[gap] = back;
        gap += 1;
        if gap < next {
            while next < runs.len() {
                runs[gap] = runs[next];
                gap += 1;
                next += 1;
            }
            runs.truncate(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(runs: &[(Millis, i64)]) -> Units {
        let run = |&(since, amount)| Run { since, amount };
        Units::new(runs.iter().map(run).collect())
    }

    #[test]
    fn enough_units_are_free_once_the_last_of_them_is() {
        let free = units(&[(0, 2), (5, 1), (9, 5)]);
        assert_eq!([1, 2, 3, 8].map(|need| free.free_from(need)), [0, 0, 5, 9]);
        assert_eq!(free.free_from(9), Millis::MAX);
    }

    #[test]
    fn the_units_that_became_free_last_are_taken_first() {
        let mut free = units(&[(0, 2), (5, 1), (9, 5)]);
        free.take(2, 5, 7);
        assert_eq!(free, units(&[(0, 1), (7, 2), (9, 5)]));
        free.take(5, 9, 20);
        assert_eq!(free, units(&[(0, 1), (7, 2), (20, 5)]));
        free.take(1, 1, 3);
        assert_eq!(free, units(&[(3, 1), (7, 2), (20, 5)]));
        free.take(8, 20, 30);
        assert_eq!(free, units(&[(30, 8)]));
        free.take(3, 30, 40);
        assert_eq!(free, units(&[(30, 5), (40, 3)]));
    }
}
