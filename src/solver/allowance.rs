//! Budgets: what a plan uses up, and what a decoder may still spend.

use super::instance::Instance;
use super::schedule::Schedule;

/// What is left of the budgets while copies are placed.
///
/// Of each budget the least that the copies still to come need is kept for them, where there is enough for
/// all; else whoever comes first is served.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance {
    left: Vec<i64>,
    kept: Vec<i64>,
    keeps_nothing: bool,
    /// Per task, the least that a copy spends in any mode; 0 where nothing is kept.
    least: Vec<Vec<i64>>,
}

impl Allowance {
    /// The budgets with nothing spent.
    pub fn new(instance: &Instance) -> Self {
        let budgets = &instance.budgets;
        let mut least: Vec<Vec<i64>> = Vec::new();
        let mut kept = vec![0i64; budgets.len()];
        if !budgets.is_empty() {
            for task in &instance.tasks {
                let of = |budget: usize| {
                    let each = task.modes.iter().map(|mode| mode.spends[budget]);
                    each.min().unwrap_or(0)
                };
                let copies = task.copies.len() as i64;
                least.push((0..budgets.len()).map(of).collect());
                for (kept, least) in kept.iter_mut().zip(&least[least.len() - 1]) {
                    *kept = kept.saturating_add(least.saturating_mul(copies));
                }
            }
        }
        for (budget, kept) in kept.iter_mut().enumerate() {
            if *kept > budgets[budget] {
                *kept = 0;
                least.iter_mut().for_each(|least| least[budget] = 0);
            }
        }
        Self {
            left: budgets.clone(),
            kept,
            keeps_nothing: false,
            least,
        }
    }

    /// Back to where `fresh` is.
    pub fn reset(&mut self, fresh: &Self) {
        self.left.clone_from(&fresh.left);
        self.kept.clone_from(&fresh.kept);
        self.keeps_nothing = fresh.keeps_nothing;
    }

    /// Nothing is kept for later copies any more.
    pub fn keep_nothing(&mut self) {
        self.keeps_nothing = true;
    }

    /// Whether a copy of the task may spend so much.
    pub fn allows(&self, task: usize, spends: &[i64]) -> bool {
        self.left.iter().enumerate().all(|(budget, &left)| {
            let others = if self.keeps_nothing {
                0
            } else {
                self.kept[budget] - self.least[task][budget]
            };
            spends[budget] <= left.saturating_sub(others)
        })
    }

    /// Spends it.
    pub fn spend(&mut self, task: usize, spends: &[i64]) {
        for (budget, left) in self.left.iter_mut().enumerate() {
            *left -= spends[budget];
            self.kept[budget] -= self.least[task][budget];
        }
    }
}

/// Whether a schedule stays within the budgets.
pub(super) fn is_within(instance: &Instance, schedule: &Schedule) -> bool {
    let spent = |budget: usize| {
        let placed = schedule.placed.iter().enumerate();
        let each = placed.filter_map(|(copy, placed)| {
            let mode = placed.as_ref()?.mode;
            Some(i128::from(instance.task(copy).modes[mode].spends[budget]))
        });
        each.sum::<i128>()
    };
    let budgets = instance.budgets.iter().enumerate();
    budgets
        .into_iter()
        .all(|(budget, &most)| spent(budget) <= i128::from(most).max(0))
}

/// Moves fixed modes to cheaper ones, the copies placed last first, until the budgets hold them or no single
/// change brings them nearer. Copies without a fixed mode count with the least that they need.
pub(super) fn afford(
    instance: &Instance,
    fresh: &Allowance,
    order: &[usize],
    modes: &mut [Option<usize>],
) {
    let budgets = &instance.budgets;
    if budgets.is_empty() {
        return;
    }
    let spends = |copy: usize, mode: Option<usize>| -> &[i64] {
        let task = instance.task_of[copy];
        match mode.and_then(|mode| instance.tasks[task].modes.get(mode)) {
            Some(mode) => &mode.spends,
            None => &fresh.least[task],
        }
    };
    let mut spent = vec![0i128; budgets.len()];
    for (copy, mode) in modes.iter().enumerate() {
        for (spent, amount) in spent.iter_mut().zip(spends(copy, *mode)) {
            *spent += i128::from(*amount);
        }
    }
    // How far above the budgets, as a sum of shares of them, once a copy spends `to` and not `from`.
    let excess = |spent: &[i128], from: &[i64], to: &[i64]| -> f64 {
        let each = budgets.iter().enumerate().map(|(budget, &most)| {
            let after = spent[budget] - i128::from(from[budget]) + i128::from(to[budget]);
            (after - i128::from(most)).max(0) as f64 / most.max(1) as f64
        });
        each.sum()
    };
    let nothing = vec![0; budgets.len()];
    let mut over = excess(&spent, &nothing, &nothing);
    let mut is_stuck = false;
    while over > 0.0 && !is_stuck {
        is_stuck = true;
        for &copy in order.iter().rev() {
            let from = spends(copy, modes[copy]);
            let choices = instance.task(copy).modes.iter().enumerate();
            let useful = choices.filter(|(_, mode)| !mode.is_spare);
            let after = useful.map(|(index, mode)| (excess(&spent, from, &mode.spends), index));
            let best = after.min_by(|one, other| one.0.total_cmp(&other.0));
            let Some((less, mode)) = best.filter(|best| best.0 < over) else {
                continue;
            };
            let to = &instance.task(copy).modes[mode].spends;
            for (budget, spent) in spent.iter_mut().enumerate() {
                *spent += i128::from(to[budget]) - i128::from(from[budget]);
            }
            modes[copy] = Some(mode);
            (over, is_stuck) = (less, false);
            if over <= 0.0 {
                break;
            }
        }
    }
}
