//! Price-guided greedy: the prices that prove the bound on flow time tell each copy what its room costs the
//! others. Each takes the mode and place that it can best afford (Lagrangian heuristic: Fisher 1981; list
//! orders from a relaxed schedule: Schulz and Skutella 2002).

use std::sync::Arc;

use crate::model::{Algorithm, Millis};
use crate::solver::bounds::{self, Learnt, Prices};
use crate::solver::decoder::preference::Preference;
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

/// Rounds of learning before the first plans.
const ROUNDS: usize = 60;
/// Rounds between two looks at the bound, and how often it is looked at.
const MORE: (usize, usize) = (20, 20);
/// Boxes between two looks at the bound.
const BOXES: usize = 1_000;

/// Learns prices, raises the bound, and decodes what the prices suggest.
pub(super) fn run(search: &mut Search) {
    learn(search, ROUNDS);
    let learnt = search.prices.as_ref();
    let Some(found) = learnt.and_then(|(_, learnt)| learnt.prices()) else {
        return;
    };
    for pair in recipes(search, &found).chunks(2) {
        if search.is_over() {
            break;
        }
        search.evaluate_leaders(pair.to_vec(), Algorithm::Greedy);
    }
}

/// Goes on learning, for the bound alone.
pub(super) fn sharpen(search: &mut Search) {
    for _ in 0..MORE.1 {
        if search.is_over() {
            break;
        }
        learn(search, MORE.0);
    }
}

/// Goes on with the bound on the ends of several batches, as long as that raises something.
pub(super) fn branch(search: &mut Search) {
    for round in 0.. {
        if search.is_over() {
            break;
        }
        if round < MORE.1 {
            learn(search, MORE.0);
        }
        let Some((counts, mut learnt)) = search.prices.take() else {
            break;
        };
        let goes_on = learnt.branch(BOXES, || search.meter().expired());
        search.raise_bound(learnt.bound());
        search.prices = Some((counts, learnt));
        if !goes_on && round >= MORE.1 {
            break;
        }
    }
}

/// Learns for so many rounds, or as far as the budget goes, and raises the bound.
pub(super) fn learn(search: &mut Search, rounds: usize) {
    learn_until(search, rounds, 1.0);
}

/// The same, but only until this part of the budget is spent.
pub(super) fn learn_until(search: &mut Search, rounds: usize, part: f64) {
    let Some(counts) = search.incumbent().map(|incumbent| incumbent.counts.clone()) else {
        return;
    };
    let known = search.prices.take().filter(|(of, _)| *of == counts);
    let known = known.map(|(_, learnt)| learnt);
    let Some(mut learnt) = known.or_else(|| Learnt::new(search.instance, &counts)) else {
        return;
    };
    let meter = search.meter();
    learnt.improve(rounds, || meter.expired() || meter.progress() > part);
    search.raise_bound(learnt.bound());
    search.prices = Some((counts, learnt));
}

/// When each batch might end in a plan that is near the bound, as far as it is learnt.
pub(super) fn ends(search: &Search) -> Vec<Millis> {
    let learnt = search.prices.as_ref();
    let ends = learnt.and_then(|(_, learnt)| learnt.ends());
    ends.unwrap_or_else(|| bounds::ends(search.instance))
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
    by_start.sort_by_key(|&copy| start(copy));
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
