//! What all searches work with: they hand in recipes, and the best plan decoded is kept.

use rayon::prelude::*;

use crate::model::{Algorithm, Problem};

use super::bounds::Bound;
use super::budget::Meter;
use super::decoder::Decoder;
use super::incumbent::{Improvement, Incumbent, Listener};
use super::instance::Instance;
use super::packing::Packing;
use super::schedule::{Recipe, Schedule};
use super::score::Score;

/// So many of the best recipes are kept for the searches that start from other plans.
const MOST_LEADERS: usize = 16;

/// One run of the solver.
pub(super) struct Search<'a> {
    pub instance: &'a Instance<'a>,
    pub seed: u64,
    meter: Meter<'a>,
    workers: Vec<Worker<'a>>,
    incumbent: Option<Incumbent>,
    leaders: Vec<(Score, Recipe)>,
    listener: &'a mut dyn Listener,
}

/// A decoder of one of the two kinds of goals.
enum Worker<'a> {
    Timed(Decoder<'a>),
    Static(Packing<'a>),
}

impl<'a> Worker<'a> {
    fn new(instance: &'a Instance<'a>) -> Self {
        if instance.problem.goal.is_static() {
            Worker::Static(Packing::new(instance))
        } else {
            Worker::Timed(Decoder::new(instance))
        }
    }

    fn decode(&mut self, recipe: &Recipe) -> Score {
        match self {
            Worker::Timed(decoder) => decoder.decode(recipe),
            Worker::Static(packing) => packing.decode(recipe),
        }
    }

    fn schedule(&self) -> &Schedule {
        match self {
            Worker::Timed(decoder) => decoder.schedule(),
            Worker::Static(packing) => packing.schedule(),
        }
    }
}

/// What one worker made of its share of the recipes.
struct Share {
    scores: Vec<Option<Score>>,
    best: Option<(Score, Schedule)>,
}

impl<'a> Search<'a> {
    pub fn new(
        instance: &'a Instance<'a>,
        seed: u64,
        meter: Meter<'a>,
        listener: &'a mut dyn Listener,
    ) -> Self {
        Self {
            instance,
            seed,
            meter,
            workers: Vec::new(),
            incumbent: None,
            leaders: Vec::new(),
            listener,
        }
    }

    pub fn problem(&self) -> &'a Problem {
        self.instance.problem
    }

    /// The best plan so far.
    pub fn incumbent(&self) -> Option<&Incumbent> {
        self.incumbent.as_ref()
    }

    /// Takes the best plan out.
    pub fn into_incumbent(self) -> Option<Incumbent> {
        self.incumbent
    }

    /// The best recipes so far with different scores, the best first.
    pub fn leaders(&self) -> &[(Score, Recipe)] {
        &self.leaders
    }

    /// Plans decoded so far.
    pub fn iterations(&self) -> u64 {
        self.meter.tried()
    }

    /// Whether nothing more can be won, or nothing more may be spent.
    pub fn is_over(&self) -> bool {
        match &self.incumbent {
            Some(incumbent) => incumbent.is_best(self.instance) || self.meter.exhausted(),
            None => false,
        }
    }

    /// Decodes recipes in parallel and keeps the best plan; of equal ones the first, so that the number of
    /// threads does not matter. The score of a recipe is `None` where the budget ended before it.
    pub fn evaluate(&mut self, recipes: &[Recipe], by: Algorithm) -> Vec<Option<Score>> {
        let granted = &recipes[..granted(&self.meter, recipes.len())];
        let threads = rayon::current_num_threads().clamp(1, granted.len().max(1));
        while self.workers.len() < threads {
            self.workers.push(Worker::new(self.instance));
        }
        let limit = self.incumbent.as_ref().map(|incumbent| incumbent.score);
        let meter = &self.meter;
        let run = |(index, (worker, recipes)): (usize, (&mut Worker, &[Recipe]))| {
            decode_all(worker, recipes, limit, |at| {
                (index + at > 0 || limit.is_some()) && meter.expired()
            })
        };
        let size = granted.len().div_ceil(threads).max(1);
        let shares: Vec<Share> = if threads == 1 {
            self.workers
                .iter_mut()
                .take(1)
                .zip([granted])
                .enumerate()
                .map(run)
                .collect()
        } else {
            self.workers
                .par_iter_mut()
                .zip(granted.par_chunks(size))
                .enumerate()
                .map(run)
                .collect()
        };
        let mut scores = Vec::with_capacity(recipes.len());
        let mut best: Option<(Score, Schedule)> = None;
        for share in shares {
            scores.extend(share.scores);
            if let Some(found) = share
                .best
                .filter(|found| best.as_ref().is_none_or(|best| found.0 < best.0))
            {
                best = Some(found);
            }
        }
        self.meter.count(scores.iter().flatten().count() as u64);
        scores.resize(recipes.len(), None);
        if let Some((score, schedule)) = best {
            self.improve(score, schedule, by);
        }
        scores
    }

    /// Decodes recipes, and remembers the best of them as leaders.
    pub fn evaluate_leaders(&mut self, recipes: Vec<Recipe>, by: Algorithm) -> Vec<Option<Score>> {
        let scores = self.evaluate(&recipes, by);
        let scored = scores
            .iter()
            .zip(recipes)
            .filter_map(|(score, recipe)| Some(((*score)?, recipe)));
        self.leaders.extend(scored);
        self.leaders.sort_by_key(|(score, _)| *score);
        self.leaders.dedup_by_key(|(score, _)| *score);
        self.leaders.truncate(MOST_LEADERS);
        scores
    }

    /// Takes over a bound on the best plan, if it is better than the one known.
    pub fn raise_bound(&mut self, bound: Bound) {
        let goal = self.problem().goal;
        let Some(incumbent) = &mut self.incumbent else {
            return;
        };
        let is_better = if goal.is_maximised() {
            bound.value < incumbent.bound.value
        } else {
            bound.value > incumbent.bound.value
        };
        if is_better {
            incumbent.bound = bound;
            let found_by = incumbent.found_by;
            self.tell(found_by);
        }
    }

    /// Takes over a plan that was made without a recipe, if it is better than the best one. Whether it is.
    pub fn offer(&mut self, score: Score, schedule: Schedule, by: Algorithm) -> bool {
        let is_better = self
            .incumbent
            .as_ref()
            .is_none_or(|incumbent| score < incumbent.score);
        if is_better {
            self.improve(score, schedule, by);
        }
        is_better
    }

    /// What may be spent, and what was.
    pub fn meter(&self) -> &Meter<'a> {
        &self.meter
    }

    /// Counts plans that were tried without a recipe.
    pub fn count(&mut self, plans: u64) {
        self.meter.count(plans);
    }

    fn improve(&mut self, score: Score, schedule: Schedule, by: Algorithm) {
        let incumbent = Incumbent::new(self.instance, schedule, score, by, self.incumbent.as_ref());
        self.incumbent = Some(incumbent);
        self.tell(by);
    }

    fn tell(&mut self, by: Algorithm) {
        let Some(incumbent) = &self.incumbent else {
            return;
        };
        self.listener.improved(&Improvement {
            objective: incumbent.objective(self.instance),
            bound: incumbent.bound.value,
            found_by: by,
            iterations: self.meter.tried(),
        });
    }
}

/// So many of the wanted plans may be tried.
fn granted(meter: &Meter, wanted: usize) -> usize {
    usize::try_from(meter.grant(wanted as u64)).unwrap_or(wanted)
}

/// Decodes recipes until told to stop, and keeps the first of the best plans that are better than `limit`.
fn decode_all(
    worker: &mut Worker,
    recipes: &[Recipe],
    mut limit: Option<Score>,
    stop: impl Fn(usize) -> bool,
) -> Share {
    let mut share = Share {
        scores: Vec::with_capacity(recipes.len()),
        best: None,
    };
    for (at, recipe) in recipes.iter().enumerate() {
        if stop(at) {
            share.scores.resize(recipes.len(), None);
            break;
        }
        let score = worker.decode(recipe);
        share.scores.push(Some(score));
        if limit.is_none_or(|limit| score < limit) {
            limit = Some(score);
            share.best = Some((score, worker.schedule().clone()));
        }
    }
    share
}
