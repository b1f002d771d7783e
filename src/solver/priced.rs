//! Price-guided greedy: the prices that prove the bound on flow time tell each copy what its room costs the
//! others. Each takes the mode and place that it can best afford (Lagrangian heuristic: Fisher 1981; list
//! orders from a relaxed schedule: Schulz and Skutella 2002).

use std::sync::Arc;

use crate::model::Algorithm;

use super::bounds::{Learnt, Prices};
use super::preference::Preference;
use super::schedule::Recipe;
use super::search::Search;

/// Rounds of learning before the first plans.
const ROUNDS: usize = 60;

/// Raises the bound by rounds of learning, as far as the budget goes.
pub(super) fn raise(search: &mut Search, rounds: usize) -> Option<Learnt> {
    let incumbent = search.incumbent()?;
    let mut learnt = Learnt::new(search.instance, &incumbent.counts)?;
    learnt.improve(rounds, || search.meter().expired());
    search.raise_bound(learnt.bound());
    Some(learnt)
}

/// Learns prices, raises the bound, and decodes what the prices suggest.
pub(super) fn run(search: &mut Search) {
    let Some(found) = raise(search, ROUNDS).and_then(|learnt| learnt.prices()) else {
        return;
    };
    for pair in recipes(search, &found).chunks(2) {
        if search.is_over() {
            break;
        }
        search.evaluate_leaders(pair.to_vec(), Algorithm::Greedy);
    }
}

/// The order of the starts in the relaxed schedule and that of the lists so far, with modes chosen at the prices
/// or taken from the relaxed schedule.
fn recipes(search: &Search, found: &Prices) -> Vec<Recipe> {
    let instance = search.instance;
    if found.are_none() {
        return Vec::new();
    }
    let preference = Preference::Learnt(Arc::new(found.clone()));
    let start = |copy: usize| found.places[instance.task_of[copy]].map_or(0, |place| place.start);
    let mut by_start: Vec<usize> = (0..instance.copies()).collect();
    if let Some((_, leader)) = search.leaders().first() {
        by_start.clone_from(&leader.order);
    }
    let lists = by_start.clone();
    by_start.sort_by(|&one, &other| start(one).cmp(&start(other)));
    let open = vec![None; instance.copies()];
    let relaxed: Vec<Option<usize>> = instance
        .task_of
        .iter()
        .map(|&task| found.places[task].map(|place| place.mode))
        .collect();
    let recipe = |order: &Vec<usize>, modes: &Vec<Option<usize>>| Recipe {
        order: order.clone(),
        modes: modes.clone(),
        preference: preference.clone(),
    };
    vec![
        recipe(&by_start, &open),
        recipe(&lists, &open),
        recipe(&by_start, &relaxed),
        recipe(&lists, &relaxed),
    ]
}
