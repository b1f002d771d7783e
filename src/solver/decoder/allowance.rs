//! Budgets: what a plan uses up, and what a decoder may still spend.

use crate::solver::instance::Instance;
use crate::solver::schedule::Schedule;

/// What is left of the budgets while copies are placed.
///
/// Of each budget what the copies still to come claim is kept for them: what their fixed mode spends, or the
/// least that they need. Where there is not enough for that, it is the least for all; where not even for that,
/// whoever comes first is served.
#[derive(Clone, Debug, Default)]
pub(in crate::solver) struct Allowance {
    budgets: Vec<i64>,
    left: Vec<i64>,
    /// Sum of the claims of the copies without a place.
    kept: Vec<i64>,
    /// For each copy its claim on each budget; 0 once it has a place.
    claims: Vec<i64>,
    /// For each copy the least that it spends of each budget in any mode.
    least: Vec<i64>,
}

impl Allowance {
    /// The budgets with nothing spent and nothing claimed.
    pub fn new(instance: &Instance) -> Self {
        let budgets = instance.budgets.clone();
        let mut least = Vec::new();
        for copy in 0..instance.copies() {
            let modes = &instance.task(copy).modes;
            let of = |budget: usize| modes.iter().map(|mode| mode.spends[budget]).min();
            least.extend((0..budgets.len()).map(|budget| of(budget).unwrap_or(0)));
        }
        Self {
            left: budgets.clone(),
            kept: vec![0; budgets.len()],
            claims: vec![0; least.len()],
            least,
            budgets,
        }
    }

    /// Nothing is spent, and every copy claims what its fixed mode spends.
    pub fn begin(&mut self, instance: &Instance, modes: &[Option<usize>]) {
        let count = self.budgets.len();
        if count == 0 {
            return;
        }
        self.left.clone_from(&self.budgets);
        self.claims.clone_from(&self.least);
        for (copy, mode) in modes.iter().enumerate() {
            if let Some(mode) = mode.and_then(|mode| instance.task(copy).modes.get(mode)) {
                self.claims[copy * count..(copy + 1) * count].copy_from_slice(&mode.spends);
            }
        }
        for budget in 0..count {
            if self.add_up(budget) {
                continue;
            }
            for at in (budget..self.claims.len()).step_by(count) {
                self.claims[at] = self.least[at];
            }
            if !self.add_up(budget) {
                self.forget(budget);
            }
        }
    }

    /// Adds up the claims on a budget; whether there is enough for them.
    fn add_up(&mut self, budget: usize) -> bool {
        let claims = self.claims[budget..].iter().step_by(self.budgets.len());
        self.kept[budget] = claims.fold(0, |sum, claim| sum.saturating_add(*claim));
        self.kept[budget] <= self.budgets[budget]
    }

    fn forget(&mut self, budget: usize) {
        let count = self.budgets.len();
        let claims = self.claims[budget..].iter_mut().step_by(count);
        claims.for_each(|claim| *claim = 0);
        self.kept[budget] = 0;
    }

    /// Nothing is kept for later copies any more.
    pub fn keep_nothing(&mut self) {
        (0..self.budgets.len()).for_each(|budget| self.forget(budget));
    }

    /// Whether a copy without a place may spend so much.
    pub fn allows(&self, copy: usize, spends: &[i64]) -> bool {
        let count = self.left.len();
        (0..count).all(|budget| {
            let others = self.kept[budget] - self.claims[copy * count + budget];
            spends[budget] <= self.left[budget].saturating_sub(others).max(0)
        })
    }

    /// The copy gets its place and spends it.
    pub fn spend(&mut self, copy: usize, spends: &[i64]) {
        let count = self.left.len();
        for (budget, spent) in spends.iter().take(count).enumerate() {
            self.left[budget] -= spent;
            self.kept[budget] -= std::mem::take(&mut self.claims[copy * count + budget]);
        }
    }

    /// The least that a copy spends of each budget.
    fn least(&self, copy: usize) -> &[i64] {
        let count = self.budgets.len();
        &self.least[copy * count..(copy + 1) * count]
    }
}

/// What a schedule leaves of each budget.
pub(in crate::solver) fn left(instance: &Instance, schedule: &Schedule) -> Vec<i128> {
    let mut left: Vec<i128> = instance.budgets.iter().map(|&most| most.into()).collect();
    if left.is_empty() {
        return left;
    }
    for (copy, placed) in schedule.placed.iter().enumerate() {
        let Some(placed) = placed else { continue };
        let spends = &instance.task(copy).modes[placed.mode].spends;
        for (left, amount) in left.iter_mut().zip(spends) {
            *left -= i128::from(*amount);
        }
    }
    left
}

/// Whether a schedule stays within the budgets; one that is below 0 allows nothing to be spent.
pub(in crate::solver) fn is_within(instance: &Instance, schedule: &Schedule) -> bool {
    let left = left(instance, schedule);
    let mut budgets = left.iter().zip(&instance.budgets);
    budgets.all(|(left, most)| *left >= i128::from(*most).min(0))
}

/// Moves fixed modes to cheaper ones until the budgets hold them or no single change brings them nearer: those
/// first that lengthen a copy least for what they save (the repair of Hartmann, "Project scheduling with multiple
/// modes: a genetic algorithm", Annals of Operations Research 102, 2001, made greedy). Copies without a fixed mode
/// count with the least that they need.
pub(in crate::solver) fn afford(
    instance: &Instance,
    allowance: &Allowance,
    order: &[usize],
    modes: &mut [Option<usize>],
) {
    let mut spending = Spending::of(instance, allowance, modes);
    for _ in 0..MOST_ROUNDS {
        let mut switches = spending.switches(instance, order, modes);
        if switches.is_empty() {
            return;
        }
        // Some at a time, so that it does not take long with many copies.
        let some = modes.len().div_ceil(AT_ONCE);
        switches.sort_by(|one, other| one.price.total_cmp(&other.price));
        switches.truncate(some);
        for switch in switches {
            let modes = &mut modes[switch.copy];
            let all = &instance.task(switch.copy).modes;
            let from = modes.map_or(&[][..], |mode| &all[mode].spends[..]);
            let to = &all[switch.mode].spends;
            if spending.over_after(from, to) < spending.over {
                spending.change(from, to);
                *modes = Some(switch.mode);
            }
        }
    }
}

/// One in so many copies changes its mode before all are looked at again.
const AT_ONCE: usize = 32;

/// What is not within the budgets after so many rounds is left to the decoder.
const MOST_ROUNDS: usize = 4 * AT_ONCE;

/// Another mode for a copy.
struct Switch {
    /// How much longer it lasts, in ms, for each share of the budgets that it saves.
    price: f64,
    copy: usize,
    mode: usize,
}

/// What a choice of modes spends.
struct Spending<'a> {
    budgets: &'a [i64],
    spent: Vec<i128>,
    /// How far above the budgets that is, as a sum of shares of them.
    over: f64,
}

impl<'a> Spending<'a> {
    fn of(instance: &'a Instance, allowance: &Allowance, modes: &[Option<usize>]) -> Self {
        let mut all = Self {
            budgets: &instance.budgets,
            spent: vec![0; instance.budgets.len()],
            over: 0.0,
        };
        if !all.budgets.is_empty() {
            for (copy, mode) in modes.iter().enumerate() {
                let mode = mode.and_then(|mode| instance.task(copy).modes.get(mode));
                let spends = mode.map_or(allowance.least(copy), |mode| &mode.spends);
                all.change(&[], spends);
            }
        }
        all
    }

    /// The excess once something else is spent; what `from` does not name is 0.
    fn over_after(&self, from: &[i64], to: &[i64]) -> f64 {
        let each = self.budgets.iter().enumerate().map(|(budget, &most)| {
            let from = from.get(budget).copied().unwrap_or(0);
            let after = self.spent[budget] - i128::from(from) + i128::from(to[budget]);
            (after - i128::from(most)).max(0) as f64 / most.max(1) as f64
        });
        each.sum()
    }

    fn change(&mut self, from: &[i64], to: &[i64]) {
        self.over = self.over_after(from, to);
        for (budget, spent) in self.spent.iter_mut().enumerate() {
            let from = from.get(budget).copied().unwrap_or(0);
            *spent += i128::from(to[budget]) - i128::from(from);
        }
    }

    /// The changes that bring the spending nearer to the budgets, those of the copies placed last first; none
    /// once it is within them.
    fn switches(
        &self,
        instance: &Instance,
        order: &[usize],
        modes: &[Option<usize>],
    ) -> Vec<Switch> {
        let mut switches = Vec::new();
        if self.over <= 0.0 {
            return switches;
        }
        for &copy in order.iter().rev() {
            let task = instance.task(copy);
            let Some(now) = modes[copy].and_then(|mode| task.modes.get(mode)) else {
                continue;
            };
            for (mode, other) in task
                .modes
                .iter()
                .enumerate()
                .filter(|(_, mode)| !mode.is_spare)
            {
                let saved = self.over - self.over_after(&now.spends, &other.spends);
                if saved > 0.0 {
                    let longer = other.least.saturating_sub(now.least) as f64;
                    // What lasts no longer still differs in what it saves.
                    let price = (longer + 0.02 * now.least as f64).max(1.0) / saved;
                    switches.push(Switch { price, copy, mode });
                }
            }
        }
        switches
    }
}
