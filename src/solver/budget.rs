//! How long a search may go on.

/// What a search may spend. The clock stays outside: `spent` is asked between plans.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// How many plans may be tried; the first one is always made. `None`: no limit.
    pub iterations: Option<u64>,
    /// The part of the time that is used up: 0 at the start, 1 or more when it is over or the search was
    /// cancelled. Searches that cool down follow it. Without a limit of iterations it alone decides which
    /// plan is the last one.
    pub spent: &'a (dyn Fn() -> f64 + Sync),
}

impl Budget<'static> {
    /// So many plans, however long they take: the same number gives the same plan again.
    pub fn of_iterations(most: u64) -> Self {
        Self {
            iterations: Some(most),
            spent: &|| 0.0,
        }
    }
}

/// A budget and what was spent of it. It can be lent out in stages: within one, everything here speaks of
/// the stage alone.
pub(super) struct Meter<'a> {
    budget: Budget<'a>,
    tried: u64,
    /// The parts of the whole budget between which the stage lies.
    begin: f64,
    end: f64,
}

impl<'a> Meter<'a> {
    pub fn new(budget: Budget<'a>) -> Self {
        Self {
            budget,
            tried: 0,
            begin: 0.0,
            end: 1.0,
        }
    }

    /// Plans tried so far.
    pub fn tried(&self) -> u64 {
        self.tried
    }

    /// Counts tried plans.
    pub fn count(&mut self, plans: u64) {
        self.tried = self.tried.saturating_add(plans);
    }

    /// Begins a stage that ends when this part of the whole budget is spent.
    pub fn begin_stage(&mut self, end: f64) {
        (self.begin, self.end) = (self.spent(), end);
    }

    /// How many of the wanted plans may be tried; one at least when none was yet.
    pub fn grant(&self, wanted: u64) -> u64 {
        match self.budget.iterations {
            Some(most) if self.end >= 1.0 => most.max(1).saturating_sub(self.tried).min(wanted),
            Some(most) => ((most as f64 * self.end) as u64)
                .max(1)
                .saturating_sub(self.tried)
                .min(wanted),
            None => wanted,
        }
    }

    /// The part of the stage that is used up, from 0 to 1.
    pub fn progress(&self) -> f64 {
        let length = (self.end - self.begin).max(f64::MIN_POSITIVE);
        ((self.spent() - self.begin) / length).clamp(0.0, 1.0)
    }

    /// The part of the whole budget that is used up.
    fn spent(&self) -> f64 {
        let counted = match self.budget.iterations {
            Some(most) => self.tried as f64 / most.max(1) as f64,
            None => 0.0,
        };
        counted.max((self.budget.spent)()).clamp(0.0, 1.0)
    }

    pub fn expired(&self) -> bool {
        (self.budget.spent)() >= self.end
    }

    /// Whether no plan may be tried any more.
    pub fn exhausted(&self) -> bool {
        self.grant(1) == 0 || self.expired()
    }
}
