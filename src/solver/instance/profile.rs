//! What is free on one node over time.

use crate::model::{Millis, NodeClass};

/// Free amounts as steps: `free[i]` holds in `[times[i], times[i + 1])`, the last step for ever.
/// The first step starts at 0. Amounts lie flat, `stride` of them for each step.
#[derive(Clone, Debug, Default)]
pub(in crate::solver) struct Profile {
    stride: usize,
    times: Vec<Millis>,
    free: Vec<i64>,
}

/// What one pod asks of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::solver) struct Request {
    /// Amounts to compare with what is free: `i64::MIN` where nothing is asked, because a demand of
    /// nothing fits even an overfull node.
    pub need: Vec<i64>,
    /// Amounts to take away, at least 0.
    pub usage: Vec<i64>,
}

impl Request {
    pub fn new(demand: &[i64]) -> Self {
        Self {
            need: demand
                .iter()
                .map(|&amount| if amount > 0 { amount } else { i64::MIN })
                .collect(),
            usage: demand.iter().map(|&amount| amount.max(0)).collect(),
        }
    }

    /// How many pods fit, at most `most`.
    pub fn slots(&self, free: &[i64], most: u64) -> u64 {
        let each = self.usage.iter().zip(free).filter(|(usage, _)| **usage > 0);
        each.map(|(usage, free)| u64::try_from(free / usage).unwrap_or(0))
            .fold(most, u64::min)
    }
}

impl Profile {
    /// A node of the class with nothing planned on it: its free room less what our own pods hold.
    pub fn of_class(class: &NodeClass) -> Self {
        let mut changes: Vec<(Millis, bool, usize)> = Vec::new();
        for (index, hold) in class.holds.iter().enumerate() {
            if hold.from.max(0) < hold.until {
                changes.push((hold.from.max(0), true, index));
                changes.push((hold.until, false, index));
            }
        }
        changes.sort_unstable();
        let mut left: Vec<i128> = class.free.iter().map(|&free| i128::from(free)).collect();
        let mut profile = Self {
            stride: left.len(),
            times: Vec::new(),
            free: Vec::new(),
        };
        profile.push(0, &left);
        for (time, begins, index) in changes {
            for (left, &held) in left.iter_mut().zip(&class.held[index]) {
                let held = i128::from(held.max(0));
                *left += if begins { -held } else { held };
            }
            profile.push(time, &left);
        }
        profile
    }

    /// Appends a step, or rewrites the last one where it starts at the same time.
    fn push(&mut self, time: Millis, left: &[i128]) {
        if self.times.last() == Some(&time) {
            self.free.truncate(self.free.len() - self.stride);
        } else {
            self.times.push(time);
        }
        let clamp = |left: &i128| {
            i64::try_from(*left).unwrap_or(if *left < 0 { i64::MIN } else { i64::MAX })
        };
        self.free.extend(left.iter().map(clamp));
    }

    /// Number of resources.
    pub fn resources(&self) -> usize {
        self.stride
    }

    /// The step in force at this time.
    fn step_at(&self, time: Millis) -> usize {
        self.times
            .partition_point(|&from| from <= time)
            .saturating_sub(1)
    }

    fn step(&self, index: usize) -> &[i64] {
        &self.free[index * self.stride..(index + 1) * self.stride]
    }

    /// What is free at this time.
    pub fn free_at(&self, time: Millis) -> &[i64] {
        self.step(self.step_at(time))
    }

    /// The least that is free of each resource at any time.
    pub fn least_free(&self) -> Vec<i64> {
        self.extreme(i64::min)
    }

    /// The most that is free of each resource at any time.
    pub fn most_free(&self) -> Vec<i64> {
        self.extreme(i64::max)
    }

    fn extreme(&self, of: fn(i64, i64) -> i64) -> Vec<i64> {
        let over_time = |resource| {
            let free = (0..self.times.len()).map(|step| self.step(step)[resource]);
            free.reduce(of).unwrap_or(0)
        };
        (0..self.stride).map(over_time).collect()
    }

    /// Changes what is free of a resource, step by step.
    pub fn change(&mut self, resource: usize, to: impl Fn(i64) -> i64) {
        let free = self.free.iter_mut().skip(resource).step_by(self.stride);
        free.for_each(|free| *free = to(*free));
    }

    /// The first time after this one at which something changes.
    pub fn next_change(&self, time: Millis) -> Option<Millis> {
        self.times.get(self.step_at(time) + 1).copied()
    }

    /// The earliest start, not before `from`, at which the need is free for so long;
    /// `None` where that is never, or would end beyond the last millisecond.
    pub fn earliest(&self, need: &[i64], duration: Millis, from: Millis) -> Option<Millis> {
        let mut start = from;
        if duration > 0 {
            let mut step = self.step_at(from);
            loop {
                let fits = need
                    .iter()
                    .zip(self.step(step))
                    .all(|(need, free)| need <= free);
                step += 1;
                match self.times.get(step) {
                    Some(&next) if !fits => start = next,
                    Some(&next) if next.saturating_sub(start) < duration => {}
                    None if !fits => return None,
                    _ => break,
                }
            }
        }
        start.checked_add(duration).map(|_| start)
    }

    /// How many pods fit in all of `[start, start + duration)`, at most `most`.
    pub fn slots(&self, request: &Request, start: Millis, duration: Millis, most: u64) -> u64 {
        let mut least = most;
        let end = start.saturating_add(duration);
        let mut step = self.step_at(start);
        while least > 0
            && step < self.times.len()
            && (self.times[step] < end || self.times[step] <= start)
        {
            least = request.slots(self.step(step), least);
            step += 1;
        }
        least
    }

    /// The same node with some of its resources only.
    pub fn project(&self, resources: &[usize]) -> Self {
        let kept = |step| {
            resources
                .iter()
                .map(move |&resource| self.step(step)[resource])
        };
        Self {
            stride: resources.len(),
            times: self.times.clone(),
            free: (0..self.times.len()).flat_map(kept).collect(),
        }
    }

    /// The steps from this time on, each with its begin; the first one begins at `time`.
    pub fn steps_from(&self, time: Millis) -> impl Iterator<Item = (Millis, &[i64])> + Clone {
        let first = self.step_at(time);
        (first..self.times.len()).map(move |step| (self.times[step].max(time), self.step(step)))
    }

    /// Takes `pods` times the usage away in `[start, end)`.
    pub fn occupy(&mut self, usage: &[i64], pods: i64, start: Millis, end: Millis) {
        if start >= end {
            return;
        }
        let (first, last) = (self.split(start), self.split(end));
        for step in first..last {
            let free = &mut self.free[step * self.stride..(step + 1) * self.stride];
            for (free, usage) in free.iter_mut().zip(usage) {
                *free = free.saturating_sub(usage.saturating_mul(pods));
            }
        }
    }

    /// Makes a step start at this time, and says which one it is.
    fn split(&mut self, time: Millis) -> usize {
        let at = self.step_at(time);
        if self.times[at] == time {
            return at;
        }
        self.times.insert(at + 1, time);
        let (from, until, end) = (at * self.stride, (at + 1) * self.stride, self.free.len());
        self.free.extend_from_within(end - self.stride..end);
        self.free.copy_within(until..end, until + self.stride);
        self.free.copy_within(from..until, until);
        at + 1
    }

    /// Copies another profile into the room of this one.
    pub fn become_copy_of(&mut self, other: &Self) {
        self.stride = other.stride;
        self.times.clone_from(&other.times);
        self.free.clone_from(&other.free);
    }
}
