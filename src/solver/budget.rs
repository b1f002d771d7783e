//! How long a search may go on.

/// What a search may spend. The clock stays outside: `expired` is asked between plans.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// How many plans may be decoded; the first one is always made. `None`: no limit.
    pub iterations: Option<u64>,
    /// Whether the time is over or the search was cancelled. Without a limit of iterations
    /// this alone decides which plan is the last one.
    pub expired: &'a (dyn Fn() -> bool + Sync),
}

/// A budget and what was spent of it.
pub(super) struct Meter<'a> {
    budget: Budget<'a>,
    spent: u64,
}

impl<'a> Meter<'a> {
    pub fn new(budget: Budget<'a>) -> Self {
        Self { budget, spent: 0 }
    }

    /// Decoded plans so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Counts decoded plans.
    pub fn spend(&mut self, plans: u64) {
        self.spent = self.spent.saturating_add(plans);
    }

    /// How many of the wanted plans may be decoded; one at least when none was yet.
    pub fn grant(&self, wanted: usize) -> usize {
        let left = match self.budget.iterations {
            Some(most) => most.max(1).saturating_sub(self.spent),
            None => u64::MAX,
        };
        usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
    }

    pub fn expired(&self) -> bool {
        (self.budget.expired)()
    }

    /// Whether no plan may be decoded any more.
    pub fn exhausted(&self) -> bool {
        self.grant(1) == 0 || self.expired()
    }
}
