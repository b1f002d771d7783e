//! All placed copies together use up at most each budget. Goals without a time axis use up nothing.

use super::{Ground, Placed, Violation, amount, needs};
use crate::model::Mode;

/// What the plan leaves of each budget; empty under a goal without a time axis.
pub(super) fn left(ground: &Ground, placed: &[Placed]) -> Vec<i128> {
    let problem = ground.problem;
    if problem.goal.is_static() {
        return Vec::new();
    }
    let spent = |budget: usize| -> i128 {
        let each = placed.iter().map(|one| amount(&one.mode.spends, budget));
        each.map(|amount| i128::from(amount.max(0))).sum()
    };
    let budgets = problem.budgets.iter().enumerate();
    budgets
        .map(|(budget, &most)| i128::from(most) - spent(budget))
        .collect()
}

/// Reports each budget of which more than there is is used up.
pub(super) fn check(ground: &Ground, placed: &[Placed], found: &mut Vec<Violation>) {
    for (budget, left) in left(ground, placed).into_iter().enumerate() {
        let most = i128::from(ground.problem.budgets[budget]);
        // A budget below 0 is none of the plan's doing until something is spent of it.
        if left < 0 && left < most {
            let spent = most - left;
            found.push(Violation::OverBudget {
                budget,
                spent,
                most,
            });
        }
    }
}

/// Whether one more copy in this mode stays within what is left.
pub(super) fn allow(left: &[i128], mode: &Mode) -> bool {
    needs(&mode.spends).all(|(budget, need)| {
        left.get(budget)
            .is_none_or(|left| i128::from(need) <= *left)
    })
}
